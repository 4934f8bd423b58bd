#!/usr/bin/env bash
# Checks the files for operators with the tools of those who will use them, where this machine has them.
#
# usage: check-deploy.sh
#
# promtool is in Debian's package prometheus; systemd-analyze comes with systemd.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Says so where a tool is missing, because a check that is silently left out looks like one that passed.
have() { # TOOL FILE
  command -v "$1" >/dev/null || { echo "not checked: $2 ($1 is missing)" >&2; return 1; }
}

if have promtool prometheus/alerts.yml; then
  promtool check rules prometheus/alerts.yml
  promtool test rules prometheus/alerts.test.yml
fi

if have systemd-analyze systemd/sagetrail.service; then
  # The unit names a program that need not be installed here; every other complaint counts.
  complaints=$(systemd-analyze verify systemd/sagetrail.service 2>&1 | grep -v 'is not executable' || true)
  [ -z "$complaints" ] || { echo "$complaints" >&2; exit 1; }
fi
