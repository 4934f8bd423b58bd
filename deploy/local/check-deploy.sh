#!/usr/bin/env bash
# Checks the files for operators with the tools of those who will use them, where this machine has them.
#
# usage: check-deploy.sh
#
# deploy-tools.sh fetches what it can before. A check that is left out is named at the end, because one that is silently
# left out looks like one that passed.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=$root/.local/deploy-tools
cd "$root/deploy"

"$here/deploy-tools.sh"
PATH=$tools:$("$here/venv.sh" "$here/requirements-lint.txt")/bin:$PATH
left_out=()

have() { # TOOL WHAT
  command -v "$1" >/dev/null || { left_out+=("$2 ($1 is missing)"); return 1; }
}

hadolint docker/Dockerfile
git -C "$root" ls-files -z '*.yml' '*.yaml' ':!deploy/helm/sagetrail/templates' |
  (cd "$root" && xargs -0 yamllint --strict --config-file "$here/yamllint.yml")

if docker compose version >/dev/null 2>&1; then
  OPENSEARCH_PASSWORD=none docker compose --file docker/compose.yaml --profile '*' config --quiet
else
  left_out+=("docker/compose.yaml beyond its YAML (docker compose is missing)")
fi

if have helm "helm/sagetrail"; then
  definitions=()
  for folder in "$tools"/crds-*; do [ ! -d "$folder" ] || definitions+=("$folder"); done
  python "$here/check_chart.py" "$(command -v helm)" "${definitions[@]}"
fi

python "$here/check_terraform.py"
if have terraform "terraform's format"; then
  terraform fmt -check -recursive -diff terraform guardrails/terraform
  # This module needs no provider.
  terraform -chdir=guardrails/terraform/documents init -backend=false >/dev/null
  terraform -chdir=guardrails/terraform/documents test -no-color >/dev/null
fi
left_out+=("terraform validate and terraform test of what makes something (they fetch the provider of AWS; run them before you apply)")

python -W ignore:pkg_resources "$here/check_guardrails.py"
cfn-lint guardrails/cloudformation/*.json
if have node "guardrails on the rules' examples" && have npm "guardrails on the rules' examples"; then
  "$here/guardrails.sh"
fi

if have promtool "prometheus/alerts.yml"; then
  promtool check rules prometheus/alerts.yml
  promtool test rules prometheus/alerts.test.yml
fi

if have systemd-analyze "systemd"; then
  # The units name a program that need not be installed here; every other complaint counts.
  complaints=$(systemd-analyze verify systemd/*.service systemd/*.timer 2>&1 | grep -v 'is not executable' || true)
  [ -z "$complaints" ] || { echo "$complaints" >&2; exit 1; }
  for unit in systemd/*.service; do
    # In tenths, on systemd's scale from 0 (closed) to 100. Versions weigh a little differently.
    systemd-analyze security --offline=yes --threshold=20 "$unit" >/dev/null ||
      { echo "$unit: systemd-analyze security finds it more exposed than it was" >&2; exit 1; }
  done
fi

printf 'not checked: %s\n' "${left_out[@]}" >&2
