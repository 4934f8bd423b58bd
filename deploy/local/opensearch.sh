#!/usr/bin/env bash
# A real single-node OpenSearch on loopback, put together from Maven Central.
#
# usage: opensearch.sh assemble
#        opensearch.sh start  [--instance NAME] [--port PORT]
#        opensearch.sh stop   [--instance NAME] [--remove]
#        opensearch.sh status [--instance NAME]
#
# start   assembles the server if need be and prints its URL when it answers; a stopped instance keeps port and data
# stop    ends the server; --remove forgets the instance
# status  prints url, pid and log, with security also what a client needs; fails when the instance is not running
#
# SECURITY=1             start with TLS, and ask for a password or a client certificate, as long as the instance lasts
# OPENSEARCH_JAVA_OPTS   options of the Java machine, which overrule those below
# OPENSEARCH_SETTINGS    settings of the node with spaces between, such as thread_pool.write.queue_size=10

set -euo pipefail
# shellcheck source=deploy/local/instances.sh
. "$(dirname "${BASH_SOURCE[0]}")/instances.sh"

user="admin"
password="sagetrail-local"

mark() { echo "$instance/config"; }

assemble() {
  local parts=$here/opensearch
  if [ "$home" -nt "$parts/pom.xml" ] && [ "$home" -nt "$parts/assemble.py" ]; then return; fi
  note "assembling OpenSearch in $home"
  rm -rf "$home"
  (umask 022 && python3 "$parts/assemble.py" "$home")
}

secured() { [ -d "$instance/config/tls" ]; }

# An authority of its own, which vouches for the node and for a client that needs no password.
make_certificates() {
  local tls=$instance/config/tls common_name
  [ ! -f "$tls/admin.pem" ] || return 0
  mkdir -p "$tls"
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=sagetrail local CA" \
    -keyout "$tls/ca.key" -out "$tls/ca.pem"
  for common_name in node admin; do
    openssl req -newkey rsa:2048 -nodes -subj "/CN=$common_name" -keyout "$tls/$common_name.key" -out "$tls/request"
    openssl x509 -req -in "$tls/request" -days 3650 -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial \
      -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1") -out "$tls/$common_name.pem"
  done
}

configure() {
  local config=$instance/config
  mkdir -p "$config" "$instance"/{data,logs,tmp}
  cp "$here/opensearch/log4j2.properties" "$config/"
  if [ "${SECURITY:-}" = 1 ] || secured; then
    cat "$here/opensearch/opensearch.yml" "$here/opensearch/security.yml" >"$config/opensearch.yml"
    make_certificates 2>>"$instance/log" || report "openssl could not make the certificates"
    mkdir -p "$config/opensearch-security"
    cp "$home/plugins/opensearch-security/config/"*.yml "$config/opensearch-security/"
    cp "$here/opensearch/internal_users.yml" "$config/opensearch-security/"
  else
    cp "$here/opensearch/opensearch.yml" "$config/"
    echo "plugins.security.disabled: true" >>"$config/opensearch.yml"
  fi
}

# The simple compiler and collector start the server on two cores in 5 s instead of 12 s, for half the processor time.
launch() { # COMMAND…, which is put before java
  local java=${JAVA_HOME:+$JAVA_HOME/bin/}java options settings
  read -ra settings <<<"${OPENSEARCH_SETTINGS:-}"
  read -ra options <<<"-Xms1g -Xmx1g -XX:+UseSerialGC -XX:TieredStopAtLevel=1 ${OPENSEARCH_JAVA_OPTS:-}"
  cd "$home"
  nohup "$@" "$java" "${options[@]}" -Dopensearch.path.conf="$instance/config" -Dopensearch.path.home="$home" \
    -Dopensearch.distribution.type=tar -Dopensearch.bundled_jdk=false \
    -Djava.security.manager=allow -Djava.locale.providers=SPI,COMPAT -Dfile.encoding=UTF-8 \
    -Djava.io.tmpdir="$instance/tmp" -Djna.tmpdir="$instance/tmp" -Djna.nosys=true \
    -Dlog4j2.disable.jmx=true -Dlog4j.shutdownHookEnabled=false -Dio.netty.noUnsafe=true \
    -cp "$home/lib/*" org.opensearch.bootstrap.OpenSearch \
    -Epath.data="$instance/data" -Epath.logs="$instance/logs" -Ehttp.port="$port" -Etransport.port="$(free_port)" \
    "${settings[@]/#/-E}" \
    >>"$instance/log" 2>&1 </dev/null &
  echo $! >"$instance/pid"
}

start() {
  assemble
  ! running >/dev/null || die "$name is running already, on $(cat "$instance/url")"
  (umask 022 && mkdir -p "$instance")
  choose_port
  configure
  local before=() scheme=http credentials=()
  if as_root; then
    chown -R "$nobody:$nobody" "$instance"
    before=("${as_nobody[@]}")
  fi
  if secured; then
    scheme=https
    credentials=(--cacert "$instance/config/tls/ca.pem" --user "$user:$password")
  fi
  local url=$scheme://127.0.0.1:$port
  echo "$url" >"$instance/url"
  launch "${before[@]}"
  wait_for 180 "${credentials[@]}" "$url/_cluster/health?wait_for_status=yellow&timeout=4s"
  echo "$url"
}

access() {
  local tls=$instance/config/tls
  printf '%s\n' "ca=$tls/ca.pem" "user=$user" "password=$password" "certificate=$tls/admin.pem" "key=$tls/admin.key"
}

read_arguments "$@"
home=$state/opensearch
case $command in
  assemble) assemble ;;
  start) start ;;
  stop) stop ;;
  status)
    status
    ! secured || access
    ;;
  *) usage ;;
esac
