#!/usr/bin/env bash
# moto's server on loopback: S3, SQS and SNS in the memory of one process.
#
# usage: moto.sh start  [--instance NAME] [--port PORT]
#        moto.sh stop   [--instance NAME] [--remove]
#        moto.sh status [--instance NAME]
#
# start   prints the server's URL when it answers; a stopped instance keeps its port and loses its data
# stop    ends the server; --remove forgets the instance
# status  prints url, pid and log; fails when the instance is not running

set -euo pipefail
# shellcheck source=deploy/local/instances.sh
. "$(dirname "${BASH_SOURCE[0]}")/instances.sh"

mark() { echo "moto.server -H 127.0.0.1 -p $(cat "$instance/port")"; }

start() {
  ! running >/dev/null || die "$name is running already, on $(cat "$instance/url")"
  local venv url
  venv=$("$here/venv.sh" "$here/requirements.txt")
  mkdir -p "$instance"
  choose_port
  url=http://127.0.0.1:$port
  echo "$url" >"$instance/url"
  nohup "$venv/bin/python" -m moto.server -H 127.0.0.1 -p "$port" >>"$instance/log" 2>&1 </dev/null &
  echo $! >"$instance/pid"
  wait_for 60 "$url/moto-api/"
  echo "$url"
}

read_arguments "$@"
case $command in
  start) start ;;
  stop) stop ;;
  status) status ;;
  *) usage ;;
esac
