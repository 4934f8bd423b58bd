#!/usr/bin/env bash
# Builds the last commit twice, in folders of different names, and compares the binaries.
#
# usage: reproducible.sh
#
# PROFILE=dev builds without optimisation.

set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd "$here/../.." && pwd)
profile=${PROFILE:-release}
output=$([ "$profile" = dev ] && echo debug || echo "$profile")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for folder in first the-second/one; do
  git clone --quiet "$checkout" "$scratch/$folder"
  (
    cd "$scratch/$folder"
    # shellcheck source=deploy/release/environment.sh
    . "$here/environment.sh" "$scratch/$folder"
    cargo build --quiet --locked --features sso --profile "$profile"
  )
  sha256sum "$scratch/$folder/target/$output/sagetrail"
done
cmp "$scratch/first/target/$output/sagetrail" "$scratch/the-second/one/target/$output/sagetrail"
echo "both builds are equal"
