#!/usr/bin/env bash
# Stops every local server of this checkout and removes what the scripts here installed.

set -euo pipefail
# shellcheck source=deploy/local/instances.sh
. "$(dirname "${BASH_SOURCE[0]}")/instances.sh"

state=$(state_folder)
for instances in "$state"/instances*; do
  remove_instances "$instances"
done
rm -rf "$state" "$checkout/.local"
