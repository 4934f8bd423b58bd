# shellcheck shell=bash
# Sourced by opensearch.sh and moto.sh: where their servers live, and how one is found, started and stopped.
#
# An instance is a folder that holds one server's pid, port, url, log and data. SAGETRAIL_LOCAL_INSTANCES names the
# folder of the instances, so that whoever sets it can find and stop every server that was started meanwhile.
#
# The sourcing script defines mark, which prints what the command line of its running server contains.

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
checkout=$(cd "$here/../.." && pwd)
nobody=65534
as_nobody=(setpriv --reuid="$nobody" --regid="$nobody" --clear-groups --no-new-privs)

note() { echo "$*" >&2; }

die() {
  note "${0##*/}: $*"
  exit 1
}

as_root() { [ "$(id -u)" = 0 ]; }

# OpenSearch refuses to run as root and then runs as nobody, who cannot enter a checkout below a closed folder such as
# /root. For such a checkout everything is kept in a folder of /var/tmp, which has to be root's own.
state_folder() {
  local folder=$checkout/.local
  if as_root && ! "${as_nobody[@]}" test -x "$checkout"; then
    folder=/var/tmp/sagetrail-$(printf %s "$checkout" | cksum | cut -d ' ' -f 1)
  fi
  (umask 022 && mkdir -p "$folder")
  [ -O "$folder" ] || die "$folder belongs to another user; remove it and try again"
  echo "$folder"
}

# Every command line has the form COMMAND [--instance NAME] [--port PORT] [--remove].
read_arguments() {
  # shellcheck disable=SC2034 # The sourcing script acts on the command.
  command=${1:-} name=default port='' remove=''
  [ $# -eq 0 ] || shift
  while [ $# -gt 0 ]; do
    case $1 in
      --instance | --port)
        [ $# -gt 1 ] || usage
        if [ "$1" = --port ]; then port=$2; else name=$2; fi
        shift 2
        ;;
      --remove) remove=yes && shift ;;
      *) usage ;;
    esac
  done
  state=$(state_folder)
  instance=${SAGETRAIL_LOCAL_INSTANCES:-$state/instances}/$(basename "$0" .sh)-$name
}

# The comment at the head of a script is its manual.
usage() {
  sed -n '2,/^$/ s/^# \{0,1\}//p' "$0" >&2
  exit 2
}

port_taken() { (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Ports stay below 32768, where no outgoing connection takes one while its server is down for a moment.
free_port() {
  local candidate
  while candidate=$((20000 + RANDOM % 12000)) && port_taken "$candidate"; do :; done
  echo "$candidate"
}

# An instance comes back on its own port unless another is asked for. After a kill the kernel may need some seconds to take
# gigabytes from a process, and closes its port only then; its command line is gone at once.
choose_port() {
  local give_up=$((SECONDS + 20))
  [ -n "$port" ] || port=$(cat "$instance/port" 2>/dev/null || free_port)
  [[ $port =~ ^[0-9]+$ ]] || die "$port is not the number of a port"
  while port_taken "$port"; do
    [ $SECONDS -lt $give_up ] || die "port $port is taken by another program; choose another with --port"
    sleep 0.1
  done
  echo "$port" >"$instance/port"
}

# Prints the pid. A pid file outlives a crash and its number may be a stranger's by then, so the command line counts too.
running() {
  local pid command_line
  pid=$(cat "$instance/pid" 2>/dev/null) || return 1
  command_line=$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline") || return 1
  [[ $command_line == *"$(mark)"* ]] && echo "$pid"
}

# Waits until the server answers; one that ends or stays silent is reported by its log.
wait_for() { # SECONDS CURL-ARGUMENT…
  local give_up=$((SECONDS + $1))
  shift
  wait_for_its_command
  until curl --silent --fail --output /dev/null --noproxy '*' --max-time 5 "$@"; do
    if ! running >/dev/null; then
      report "the server ended"
    elif [ $SECONDS -ge $give_up ]; then
      stop
      report "the server did not answer in time"
    fi
    sleep 0.3
  done
}

# A process that was just begun is a copy of this script until it runs its own command, and on a busy machine that takes a
# moment; by its command line it would be no server.
wait_for_its_command() {
  local pid
  pid=$(cat "$instance/pid")
  while cmp --silent "/proc/$pid/cmdline" "/proc/$$/cmdline"; do sleep 0.05; done
}

report() {
  tail -n 25 "$instance/log" >&2
  die "$1; above is the end of $instance/log"
}

stop() {
  local pid give_up=$((SECONDS + 30))
  if pid=$(running); then
    kill "$pid"
    while running >/dev/null; do
      [ $SECONDS -lt $give_up ] || kill -KILL "$pid"
      sleep 0.1
    done
  fi
  rm -f "$instance/pid"
  [ -z "$remove" ] || rm -rf "$instance"
}

status() {
  local pid
  pid=$(running) || die "$name is not running"
  printf 'url=%s\npid=%s\nlog=%s\n' "$(cat "$instance/url")" "$pid" "$instance/log"
}

# Stops and forgets every instance in a folder of instances.
remove_instances() { # FOLDER
  local folder instance_name
  for folder in "$1"/*/; do
    [ -d "$folder" ] || continue
    instance_name=$(basename "$folder")
    SAGETRAIL_LOCAL_INSTANCES=$1 "$here/${instance_name%%-*}.sh" stop --instance "${instance_name#*-}" --remove
  done
  rm -rf "$1"
}
