#!/usr/bin/env bash
# Runs a command beside fresh servers on free ports, and removes them afterwards: an OpenSearch, an OpenSearch with
# security, and moto.
#
# usage: with-stack.sh COMMAND…
#
# The command finds them in SAGETRAIL_TEST_OPENSEARCH_URL, SAGETRAIL_TEST_OPENSEARCH_SECURE_{URL,CA,USER,PASSWORD,
# CERTIFICATE,KEY} and SAGETRAIL_TEST_AWS_URL. With the scripts in the folder SAGETRAIL_TEST_LOCAL it may start further
# instances; what it leaves running is stopped and removed as well.

set -euo pipefail
# shellcheck source=deploy/local/instances.sh
. "$(dirname "${BASH_SOURCE[0]}")/instances.sh"

[ $# -gt 0 ] || usage

# Every command gets a process group of its own, so that an interruption can end all of it before the servers go.
set -m
group=''

run() {
  "$@" </dev/null &
  group=$!
  wait "$group"
}

interrupt() {
  trap '' INT TERM HUP
  if [ -n "$group" ] && kill -- "-$group" 2>/dev/null; then
    { wait "$group" || true; } 2>/dev/null
  fi
  exit 130
}

clean_up() {
  trap '' INT TERM HUP
  remove_instances "$SAGETRAIL_LOCAL_INSTANCES"
}

# A run that was killed outright could not clean up after itself.
remove_orphans() {
  local folder
  for folder in "$state"/instances-*; do
    [ -d "/proc/${folder##*-}" ] || remove_instances "$folder"
  done
}

state=$(state_folder)
remove_orphans
export SAGETRAIL_LOCAL_INSTANCES=$state/instances-$$
trap interrupt INT TERM HUP
trap clean_up EXIT

run "$here/moto.sh" start >/dev/null
run "$here/opensearch.sh" start >/dev/null
SECURITY=1 run "$here/opensearch.sh" start --instance secure >/dev/null

# Nothing of the caller's own accounts and clusters may leak into a test, and no proxy may stand before loopback.
unset "${!AWS_@}" "${!SAGETRAIL__@}"
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost
SAGETRAIL_TEST_AWS_URL=$(cat "$SAGETRAIL_LOCAL_INSTANCES/moto-default/url")
SAGETRAIL_TEST_OPENSEARCH_URL=$(cat "$SAGETRAIL_LOCAL_INSTANCES/opensearch-default/url")
export SAGETRAIL_TEST_AWS_URL SAGETRAIL_TEST_OPENSEARCH_URL SAGETRAIL_TEST_LOCAL=$here
while IFS='=' read -r name value; do
  export "SAGETRAIL_TEST_OPENSEARCH_SECURE_${name^^}=$value"
done < <("$here/opensearch.sh" status --instance secure)

run "$@"
