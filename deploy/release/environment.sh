# shellcheck shell=bash
# What makes two builds of one commit equal to the byte: no path of this machine and no time of the build gets in.
#
# usage: . environment.sh SOURCE

cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)
export RUSTFLAGS="--remap-path-prefix=$1=/sagetrail --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$sysroot=/rust"
export CFLAGS="-ffile-prefix-map=$1=/sagetrail -ffile-prefix-map=$cargo_home=/cargo"
SOURCE_DATE_EPOCH=$(git -C "$1" log -1 --format=%ct)
export SOURCE_DATE_EPOCH CARGO_INCREMENTAL=0
