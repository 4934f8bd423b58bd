#!/usr/bin/env bash
# Runs a command beside fresh servers on free ports, and removes them afterwards: an OpenSearch, one that tests may clear
# and block as a whole, one with security, and moto.
#
# usage: with-stack.sh [--kept] COMMAND…
#        with-stack.sh --keep
#
# --keep  leaves the servers running until Ctrl-C
# --kept  takes the servers that --keep has left running, emptied first; without them it starts fresh ones
#
# The command finds them in SAGETRAIL_TEST_OPENSEARCH_URL, SAGETRAIL_TEST_OPENSEARCH_CLEARED_URL,
# SAGETRAIL_TEST_OPENSEARCH_SECURE_{URL,CA,USER,PASSWORD,CERTIFICATE,KEY} and SAGETRAIL_TEST_AWS_URL. With the scripts in
# the folder SAGETRAIL_TEST_LOCAL it may start further instances; what it leaves running is stopped and removed as well.

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
  [ -z "$keep" ] || rm -f "$stack"
  remove_instances "$SAGETRAIL_LOCAL_INSTANCES"
}

# A run that was killed outright could not clean up after itself.
remove_orphans() {
  local folder
  for folder in "$state"/instances-*; do
    [ -d "/proc/${folder##*-}" ] || remove_instances "$folder"
  done
}

# The addresses of running servers, a variable on each line.
addresses() {
  echo "SAGETRAIL_TEST_AWS_URL=$(cat "$SAGETRAIL_LOCAL_INSTANCES/moto-default/url")"
  echo "SAGETRAIL_TEST_OPENSEARCH_URL=$(cat "$SAGETRAIL_LOCAL_INSTANCES/opensearch-default/url")"
  echo "SAGETRAIL_TEST_OPENSEARCH_CLEARED_URL=$(cat "$SAGETRAIL_LOCAL_INSTANCES/opensearch-cleared/url")"
  "$here/opensearch.sh" status --instance secure | while IFS='=' read -r name value; do
    echo "SAGETRAIL_TEST_OPENSEARCH_SECURE_${name^^}=$value"
  done
}

start_servers() {
  run "$here/opensearch.sh" assemble
  run "$here/moto.sh" start >/dev/null
  run "$here/opensearch.sh" start >/dev/null
  run "$here/opensearch.sh" start --instance cleared >/dev/null
  SECURITY=1 run "$here/opensearch.sh" start --instance secure >/dev/null
}

# Removes what an earlier run has left in the servers; tests use the same names each time.
empty_servers() {
  local url
  curl --silent --fail --noproxy '*' --output /dev/null --request POST "$SAGETRAIL_TEST_AWS_URL/moto-api/reset"
  for url in "$SAGETRAIL_TEST_OPENSEARCH_URL" "$SAGETRAIL_TEST_OPENSEARCH_CLEARED_URL"; do
    empty_cluster "$url"
  done
  empty_cluster "$SAGETRAIL_TEST_OPENSEARCH_SECURE_URL" --cacert "$SAGETRAIL_TEST_OPENSEARCH_SECURE_CA" \
    --user "$SAGETRAIL_TEST_OPENSEARCH_SECURE_USER:$SAGETRAIL_TEST_OPENSEARCH_SECURE_PASSWORD"
}

empty_cluster() { # URL CURL-ARGUMENT…
  local url=$1 path
  shift
  # Indices of the server itself begin with a dot. What is not there is no failure, so statuses do not count.
  for path in '*,-.*?expand_wildcards=all' '_index_template/*' '_component_template/*' '_ingest/pipeline/*'; do
    curl --silent --noproxy '*' --output /dev/null --request DELETE "$@" "$url/$path"
  done
}

keep='' kept=''
case $1 in
  --keep) keep=yes ;;
  --kept) kept=yes && shift ;;
esac
[ $# -gt 0 ] || usage

state=$(state_folder)
stack=$state/stack
remove_orphans
export SAGETRAIL_LOCAL_INSTANCES=$state/instances-$$
trap interrupt INT TERM HUP
trap clean_up EXIT

# Nothing of the caller's own accounts and clusters may leak into a test, and no proxy may stand before loopback.
unset "${!AWS_@}" "${!SAGETRAIL__@}"
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
export NO_PROXY=127.0.0.1,localhost no_proxy=127.0.0.1,localhost
export SAGETRAIL_TEST_LOCAL=$here

found=''
if [ -n "$kept" ] && [ -f "$stack" ] && [ -d "/proc/$(head -n 1 "$stack")" ]; then
  found=yes
  note "with the servers of make stack"
else
  start_servers
fi
while IFS='=' read -r name value; do
  export "$name=$value"
done < <(if [ -n "$found" ]; then tail -n +2 "$stack"; else addresses; fi)

if [ -n "$keep" ]; then
  { echo $$ && addresses; } >"$stack"
  tail -n +2 "$stack"
  note "the servers run until Ctrl-C; make test ARGS=… in another terminal uses them"
  run sleep infinity
elif [ -n "$found" ]; then
  empty_servers
  run "$@"
else
  run "$@"
fi
