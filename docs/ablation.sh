#!/bin/sh
# Makes the table and the plots of the ablation: every policy on the same initial states of the four suites, compared with full
# precision. An interrupted call goes on where it stopped.
#
# usage: sh docs/ablation.sh [EPISODES_PER_TASK] [FOLDER]
set -eu
cd "$(dirname "$0")/.."
episodes=${1:-50}
out=${2:-runs/ablation}
cargo build --release --quiet
evaluate() {
    "${CARGO_TARGET_DIR:-target}/release/bitvla-eval" "$@"
}
for suite in spatial object goal long; do
    for policy in full ternary int8 int4 nf4 ptq-ternary; do
        evaluate --suite $suite --policy $policy --episodes "$episodes" --out "$out/$policy/$suite"
    done
    for policy in ternary-unaligned ternary-scratch; do
        evaluate --suite $suite --policy ternary --checkpoint "assets/checkpoints/$suite/$policy" \
            --episodes "$episodes" --out "$out/$policy/$suite"
    done
    # Black cameras, the first images for ever, the words of another task.
    for sanity in blackout freeze instruction; do
        evaluate --suite $suite --policy ternary --sanity $sanity --episodes "$episodes" --out "$out/ternary-$sanity/$suite"
    done
done
labelled() {
    for policy in "$@"; do
        printf '%s=%s\n' "$policy" "$out/$policy"
    done
}
# shellcheck disable=SC2046 # one argument per line, without blanks
evaluate compare $(labelled full ternary ternary-unaligned ternary-scratch int8 int4 nf4 ptq-ternary) --out "$out/compare"
# shellcheck disable=SC2046
evaluate compare $(labelled ternary ternary-blackout ternary-freeze ternary-instruction) --out "$out/sanity"
