#!/usr/bin/env bash
# The same bits on 64-bit ARM, without the hardware: builds for aarch64, runs under qemu's emulation of three processors and compares with this machine.
#
#     tests/arm.sh [WORK_DIR]
#
# For a Cortex-A72 (NEON alone), a Cortex-A76 (dotprod) and `max` (i8mm): the kernels against their scalar twins, the renderer's registers, the
# network's golden cases where ../shared is there, and of every suite two episodes whose rows, actions, states and frames must be those of this
# machine, byte for byte. Needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user and `rustup target add
# aarch64-unknown-linux-gnu`; installs them as root, and ends with code 77 where they cannot be had. No time of it says anything about a processor.
set -euo pipefail
cd "$(dirname "$0")/.."

debian="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
there() { command -v aarch64-linux-gnu-gcc qemu-aarch64 > /dev/null && [ -d /usr/aarch64-linux-gnu ]; }
if ! there && [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # several packages
    (apt-get update && apt-get install -y --no-install-recommends $debian) > /dev/null 2>&1 || true
fi
target=aarch64-unknown-linux-gnu
if ! there || ! rustup target add "$target" 2> /dev/null; then
    echo "SKIPPED: nothing was run for ARM; it needs: apt-get install $debian; rustup target add $target"
    exit 77
fi
[ -n "${INSTALL_ONLY:-}" ] && exit

export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
work="${1:-$(mktemp -d)}"
mkdir -p "$work"
out="${CARGO_TARGET_DIR:-target}"
suites=(spatial object goal long)
episodes() { # PROGRAM... DIR
    local to="${*: -1}"
    rm -rf "$to"
    for suite in "${suites[@]}"; do
        policy=expert
        [ -d "assets/checkpoints/$suite/ternary" ] && policy=ternary
        "${@:1:$#-1}" --suite "$suite" --policy "$policy" --tasks 0,1 --episodes 1 --out "$to/$suite" > /dev/null 2>&1
    done
}
# One choice of packages, so that every dependency is built once.
packages=(-p bitvla-eval -p bitvla-policies -p bitvla-sim)
cargo build --locked --release --bin bitvla-eval
cargo build --locked --release --target "$target" "${packages[@]}" --bin bitvla-eval
golden=()
[ -d ../shared ] && golden=(--test golden)
tests() { cargo test --locked --release --target "$target" "${packages[@]}" --lib "${golden[@]}" "$@"; }
tests --no-run
episodes "$out/release/bitvla-eval" "$work/here"
for processor in cortex-a72 cortex-a76 max; do
    printf '\n== %s (%s s)\n' "$processor" "$SECONDS"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu $processor"
    tests -- --include-ignored kernels:: simd golden_ | grep "^test \|panicked"
    episodes qemu-aarch64 -cpu "$processor" "$out/$target/release/bitvla-eval" "$work/$processor"
    for suite in "${suites[@]}"; do
        for file in episodes.csv actions.bin hashes.bin; do
            cmp "$work/here/$suite/$file" "$work/$processor/$suite/$file"
        done
        isa=$(grep -o '"instruction_set": "[a-z0-9]*"' "$work/$processor/$suite/run.json" | head -1 | cut -d'"' -f4)
        echo "$suite: rows, actions, states and frames of 2 episodes are those of this machine${isa:+, with kernels of $isa}"
    done
done
printf '\n== the same bits on three ARM processors, in %s s\n' "$SECONDS"
