#!/usr/bin/env bash
# Counts the instructions that 64-bit ARM executes, under emulation: per multiply-accumulate of a packed ternary layer of the published model, and per query of
# the shipped ternary policy, for each kernel. Counts, no times; docs/benchmarks.md projects times from them.
#
#     tests/arm_instructions.sh
#
# Needs what tests/arm.sh needs, and gcc.
set -euo pipefail
cd "$(dirname "$0")/.."
target=aarch64-unknown-linux-gnu
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc
export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
cargo build --quiet --locked --release --target "$target" -p bitvla-eval -p bitvla-policies -p bitvla-sim --example counted_work
program="${CARGO_TARGET_DIR:-target}/$target/release/examples/counted_work"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
# A plugin of qemu 7 or later; its header is in no package of Debian's, so what it uses is declared here.
cat > "$work/count.c" <<'C'
#include <inttypes.h>
#include <stdio.h>
typedef uint64_t plugin_id;
struct qemu_plugin_tb;
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*callback)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int add, void *counter, uint64_t by);
void qemu_plugin_register_atexit_cb(plugin_id id, void (*callback)(plugin_id, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
static uint64_t count;
static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    qemu_plugin_register_vcpu_tb_exec_inline(block, 0, &count, qemu_plugin_tb_n_insns(block));
}
static void ended(plugin_id id, void *data) { fprintf(stderr, "INSTRUCTIONS %" PRIu64 "\n", count); }
__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, 0);
    return 0;
}
C
gcc -shared -fPIC -o "$work/count.so" "$work/count.c"
count() { # ISA REPEATS WORDS...
    BITVLA_ISA=$1 RAYON_NUM_THREADS=1 qemu-aarch64 -cpu max -plugin "$work/count.so" "$program" "${@:3}" "$2" 2>&1 > /dev/null | sed -n 's/^INSTRUCTIONS //p'
}
each() { # ISA WORDS...
    echo $((($(count "$1" 3 "${@:2}") - $(count "$1" 1 "${@:2}")) / 2))
}
rows=630
echo "| kernel | tile | ideal products an instruction | counted, $rows x 2560 x 2560 | of the ideal | instructions of a query |"
echo "|---|---|---|---|---|---|"
# Products of a tile by the instructions that it cannot do without: products and loads of weights and activations, per 16 inputs (dotprod) and 8 (i8mm).
line() { # ISA TILE PRODUCTS INSTRUCTIONS
    local layer query
    layer=$(each "$1" ternary $rows 2560 2560)
    query=$(each "$1" query assets/checkpoints/spatial/ternary)
    python3 -c "
products, ideal = $rows * 2560 * 2560, $3 / $4
got = products / $layer
print(f'| $1 | $2 | {ideal:.2f} | {got:.2f} | {100 * got / ideal:.0f} % | {$query / 1e6:.1f} million |')"
}
line dotprod "5 rows x 16 outputs" $((5 * 16 * 16)) $((80 + 16 + 5))
line i8mm "6 rows x 16 outputs" $((6 * 16 * 8)) $((24 + 8 + 6))
