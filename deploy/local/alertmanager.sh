#!/usr/bin/env bash
# Builds Alertmanager from its Go module into .local, once for each version, and prints where it is.
#
# usage: alertmanager.sh
#
# Without Go, or when the module cannot be had, it prints nothing; the tests with an Alertmanager say so then.

set -euo pipefail
VERSION=v0.28.1
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.local/alertmanager-$VERSION

if [ ! -x "$folder/alertmanager" ] && command -v go >/dev/null; then
  mkdir -p "$folder"
  echo "building Alertmanager $VERSION in $folder" >&2
  GOBIN=$folder CGO_ENABLED=0 go install "github.com/prometheus/alertmanager/cmd/alertmanager@$VERSION" >"$folder/log" 2>&1 ||
    echo "Alertmanager could not be built; see $folder/log" >&2
fi
[ ! -x "$folder/alertmanager" ] || echo "$folder/alertmanager"
