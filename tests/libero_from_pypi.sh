#!/bin/sh
# libero_from_pypi.sh DIR: LIBERO without git. Downloads its files, models and robot from PyPI into DIR (outside of the
# clone) unless they lie there already, and runs the expert on tasks of libero:spatial and of LIBERO-PRO's position suite.
set -e
[ $# = 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"; dir=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
sh tests/libero_packages.sh "$dir"
run() { cargo run --release -q -- --libero "$dir/packages" --robosuite "$dir/packages" --policy expert --episodes 1 "$@"; }
rm -rf "$dir/runs"
run --suite libero:spatial --tasks 0,3 --out "$dir/runs/spatial"
run --suite "$dir/packages/libero/libero/bddl_files/libero_goal_swap" --tasks 1 --out "$dir/runs/goal_swap"
grep -H instruction_source "$dir"/runs/*/run.json
