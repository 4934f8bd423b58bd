#!/usr/bin/env bash
# Prints the folder of a Debian 12 with systemd 252, in which tests/e2e/systemd/ installs and starts the units, once it is made.
#
# usage: systemd-root.sh
#
# Where this machine cannot have one it prints nothing, says why on the other stream, and succeeds: the test skips.

set -euo pipefail
local=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.local
root=$local/debian-12-root
log=$root.log

# What the package depends on is in it, so that a test needs no archive. Its own systemd-nspawn starts it.
PACKAGES=systemd,systemd-sysv,systemd-container,dbus,ca-certificates

unable() {
  echo "systemd-root.sh: the units are not started here: $1" >&2
  exit 0
}

make_root() {
  local tools=$local/debootstrap
  rm -rf "$root.new" "$tools"
  mkdir -p "$tools"
  # Not installed but unpacked: it is a script.
  (cd "$tools" && { apt-get download debootstrap || { apt-get update && apt-get download debootstrap; }; } &&
    dpkg-deb --extract debootstrap_*.deb .) &&
    DEBOOTSTRAP_DIR=$tools/usr/share/debootstrap sh "$tools/usr/sbin/debootstrap" \
      --variant=minbase --include="$PACKAGES" bookworm "$root.new" &&
    rm -rf "$root.new"/usr/share/{doc,man,locale} "$root.new"/var/{cache/apt,lib/apt/lists} "$tools" &&
    mv "$root.new" "$root"
}

[ "$(id -u)" = 0 ] || unable "only root may boot a container"
unshare --mount --pid --uts --ipc --cgroup --fork true 2>/dev/null || unable "this machine makes no namespaces"
[ -w /sys/fs/cgroup ] || unable "control groups cannot be made"
if [ ! -d "$root" ]; then
  for tool in apt-get dpkg-deb wget nsenter setpriv; do
    command -v "$tool" >/dev/null || unable "$tool is missing"
  done
  mkdir -p "$local"
  echo "making a Debian 12 in $root (about a minute)" >&2
  make_root >"$log" 2>&1 || unable "no Debian 12 can be made; $log says why"
fi
echo "$root"
