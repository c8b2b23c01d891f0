#!/usr/bin/env bash
# Builds the module that reports embed, web/dist/bitvla_web.wasm.gz, and writes its sha256 beside it.
#
#     web/build.sh [--check]     with --check: builds it elsewhere and compares its bytes with those that are checked in
#
# Needs `rustup target add wasm32-unknown-unknown` and python3. The bytes depend on the sources, Cargo.lock and the compiler alone: paths are taken out.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}"
export CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 CARGO_PROFILE_RELEASE_PANIC=abort CARGO_PROFILE_RELEASE_STRIP=true
export CARGO_ENCODED_RUSTFLAGS
CARGO_ENCODED_RUSTFLAGS=$(printf '%s\x1f' -Ctarget-feature=+simd128 "--remap-path-prefix=$PWD=/bitvla-eval" \
    "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo")
CARGO_ENCODED_RUSTFLAGS=${CARGO_ENCODED_RUSTFLAGS%$'\x1f'}
cargo build --locked --release --target wasm32-unknown-unknown -p bitvla-web --lib
module="$CARGO_TARGET_DIR/wasm32-unknown-unknown/release/bitvla_web.wasm"
out=web/dist
[ "${1:-}" = --check ] && out=$(mktemp -d)
mkdir -p "$out"
# Without the sections of names and tools, and compressed without a time.
python3 - "$module" "$out/bitvla_web.wasm.gz" <<'PYTHON'
import gzip
import sys

module = open(sys.argv[1], "rb").read()


def number(at):
    """A LEB128 number and what follows it."""
    value = shift = 0
    while True:
        byte = module[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


kept, at = module[:8], 8
while at < len(module):
    length, body = number(at + 1)
    if module[at] != 0:
        kept += module[at:body + length]
    at = body + length
open(sys.argv[2], "wb").write(gzip.compress(kept, 9, mtime=0))
print(f"{len(kept)} bytes, {len(gzip.compress(kept, 9, mtime=0))} compressed")
PYTHON
(cd "$out" && sha256sum bitvla_web.wasm.gz > bitvla_web.wasm.gz.sha256)
cat "$out/bitvla_web.wasm.gz.sha256"
if [ "${1:-}" = --check ]; then
    cmp "$out/bitvla_web.wasm.gz" web/dist/bitvla_web.wasm.gz
    cmp "$out/bitvla_web.wasm.gz.sha256" web/dist/bitvla_web.wasm.gz.sha256
    rm -r "$out"
    echo "web/dist/bitvla_web.wasm.gz is what its sources give"
fi
