#!/usr/bin/env bash
# Brings the tools of check-deploy.sh that no Python package has into .local/deploy-tools, once for each version.
#
# usage: deploy-tools.sh
#
# What cannot be had on this machine is left to check-deploy.sh to name. A tool on the PATH is not fetched.

set -euo pipefail
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.local/deploy-tools
mkdir -p "$tools"

HELM=v3.19.0
KEDA=v2.18.0
PROMETHEUS_OPERATOR=v0.85.0

installed() { command -v "$1" >/dev/null; }

# Runs a command unless it did its work before, and keeps what it said for whoever wonders.
once() { # NAME-VERSION COMMAND…
  local stamp=$tools/$1.done
  shift
  [ ! -e "$stamp" ] || return 0
  echo "fetching $(basename "$stamp" .done) into $tools" >&2
  "$@" >"${stamp%.done}.log" 2>&1 && touch "$stamp" || true
}

# The folder of a module's definitions of custom resources.
definitions() { # MODULE@VERSION SUBFOLDER NAME
  local folder
  folder=$(cd "$tools" && GOFLAGS=-mod=mod go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  [ -n "$folder" ] && ln -sfn "$folder/$2" "$tools/crds-$3"
}

unpack_promtool() {
  local folder
  # The lists of packages are empty on a fresh machine; only root may fetch them, and then it is worth the try.
  folder=$(mktemp -d) &&
    (cd "$folder" && { apt-get download prometheus || { apt-get update && apt-get download prometheus; }; }) &&
    dpkg-deb --fsys-tarfile "$folder"/prometheus_*.deb | tar -x -C "$tools" --strip-components=3 ./usr/bin/promtool &&
    rm -r "$folder"
}

if installed go; then
  export GOBIN=$tools CGO_ENABLED=0
  installed helm || once "helm-$HELM" go install "helm.sh/helm/v3/cmd/helm@$HELM"
  once "keda-$KEDA" definitions "github.com/kedacore/keda/v2@$KEDA" config/crd/bases keda
  once "prometheus-operator-$PROMETHEUS_OPERATOR" definitions \
    "github.com/prometheus-operator/prometheus-operator@$PROMETHEUS_OPERATOR" example/prometheus-operator-crd prometheus
fi
if installed apt-get && installed dpkg-deb; then
  installed promtool || once promtool unpack_promtool
fi
