#!/usr/bin/env bash
# Says at once which of the tools that a make target needs are missing, and how to get them.
#
# usage: tools.sh TOOL…

set -euo pipefail
cargo_toml=$(dirname "${BASH_SOURCE[0]}")/../../Cargo.toml

problems=() packages=()

# A tool that is missing or unfit, why it is needed, and the Debian package that has it.
problem() { # TEXT [PACKAGE]
  problems+=("$1")
  [ $# -lt 2 ] || packages+=("$2")
}

installed() { command -v "$1" >/dev/null; }

at_least() { # VERSION MINIMUM
  [ "$(printf '%s\n' "$1" "$2" | sort --version-sort | head -n 1)" = "$2" ]
}

check_cargo() {
  local needed found
  needed=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$cargo_toml")
  if ! installed cargo; then
    problem "cargo is missing: install Rust $needed or later from https://rustup.rs"
  elif found=$(cargo --version | cut -d ' ' -f 2) && ! at_least "$found" "$needed"; then
    problem "cargo is $found: Rust $needed or later is needed (rustup update, or https://rustup.rs)"
  fi
}

# OpenSearch 2.19 runs under Java's security manager, which Java 24 took away.
check_java() {
  local java=${JAVA_HOME:+$JAVA_HOME/bin/}java major
  if ! installed "$java"; then
    problem "$java is missing: Java 11 to 23 runs OpenSearch" default-jre-headless
    return
  fi
  major=$("$java" -version 2>&1 | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p')
  if [ "${major:-0}" -lt 11 ] || [ "$major" -gt 23 ]; then
    problem "java is version ${major:-unknown}: OpenSearch needs 11 to 23; install one and let JAVA_HOME name its folder"
  fi
}

check_python3() {
  if ! installed python3; then
    problem "python3 is missing: it runs moto, the demo and the linters" python3-venv
  elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    problem "$(python3 --version) is too old: 3.10 or later is needed"
  elif ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    problem "python3 cannot make virtual environments" python3-venv
  fi
}

check() {
  case $1 in
    cargo) check_cargo ;;
    java) check_java ;;
    python3) check_python3 ;;
    cc) installed cc || problem "cc is missing: a C compiler and linker builds some crates" build-essential ;;
    setpriv) [ "$(id -u)" != 0 ] || installed setpriv || problem "setpriv is missing: OpenSearch refuses root" util-linux ;;
    taskset) installed taskset || problem "taskset is missing: it gives a daemon a processor of its own" util-linux ;;
    mvn) installed mvn || problem "mvn is missing: Maven fetches OpenSearch" maven ;;
    *) installed "$1" || problem "$1 is missing" "$1" ;;
  esac
}

[ "$(uname)" = Linux ] || problem "this is $(uname): the local servers need Linux"
for tool in "$@"; do
  check "$tool"
done
if [ ${#problems[@]} -gt 0 ]; then
  printf '%s\n' "${problems[@]}" >&2
  [ ${#packages[@]} -eq 0 ] || echo "On Debian or Ubuntu: apt-get install ${packages[*]}" >&2
  exit 1
fi
