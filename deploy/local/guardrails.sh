#!/usr/bin/env bash
# Evaluates the policies of deploy/guardrails on the examples of the rules.
#
# usage: guardrails.sh [--update]
#
# Keeps the simulator and its packages in .local/guardrails. Needs node and npm.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
simulate=$root/deploy/guardrails/simulate
packages=$root/.local/guardrails

mkdir -p "$packages"
if ! cmp --silent "$simulate/package-lock.json" "$packages/installed.json"; then
  echo "installing the simulator into $packages" >&2
  cp "$simulate"/package.json "$simulate"/package-lock.json "$packages"
  (cd "$packages" && npm ci --silent --ignore-scripts --no-audit --no-fund)
  cp "$simulate/package-lock.json" "$packages/installed.json"
fi
cp "$simulate"/*.mjs "$packages"
node "$packages/simulate.mjs" "$root/deploy/guardrails" "$@"
