#!/usr/bin/env bash
# Feeds one stage what libFuzzer makes up, on the toolchain that builds the daemon.
#
# usage: run.sh TARGET [SECONDS]
#
# What broke a property is kept in `artifacts/`; `cargo +nightly fuzz run TARGET FILE` or this script's binary replays it.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

target=${1:?which of targets/*.rs}
seconds=${2:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz passes, without the address sanitizer, which needs nightly and would watch code that forbids `unsafe`.
RUSTFLAGS='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
RUSTFLAGS+=' -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table'
RUSTFLAGS+=' -Cllvm-args=-sanitizer-coverage-trace-compares'
export RUSTFLAGS
case $target in notification | answer) features=daemon ;; *) features= ;; esac
cargo build --locked --release --target "$host" --features "$features" --bin "$target"

mkdir -p "found/$target" artifacts
# The examples of the rules are real-looking records and a good place to start from.
seeds=("corpus/$target")
case $target in record | enrich) seeds+=(../tests/rules) ;; esac
# The timeout is long because the first input loads the rules, which takes seconds in such a build.
exec "target/$host/release/$target" "found/$target" "${seeds[@]}" -max_total_time="$seconds" -max_len=16384 \
  -timeout=120 -rss_limit_mb=2048 -artifact_prefix="artifacts/$target-" -print_final_stats=1
