#!/usr/bin/env bash
# Keeps a Python virtual environment in .local/venv and prints its folder.
#
# usage: venv.sh REQUIREMENTS…
#
# Installs what each file lists, unless it did so before.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$(cd "$here/../.." && pwd)/.local/venv

# An upgrade of the system's Python or a moved checkout leaves an environment that no longer runs.
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  rm -rf "$venv"
  python3 -m venv "$venv"
fi
for requirements in "$@"; do
  stamp=$venv/installed-$(basename "$requirements")
  if ! cmp --silent "$requirements" "$stamp"; then
    echo "installing $(basename "$requirements") into $venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$requirements" >&2
    cp "$requirements" "$stamp"
  fi
done
echo "$venv"
