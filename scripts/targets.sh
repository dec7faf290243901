#!/usr/bin/env bash
# Runs the library where there is another processor or no operating system, and prints a line for each part: its name, whether
# it passed, and its time.
#
#     scripts/targets.sh [PART...]        all parts, or some of these:
#
#     aarch64    waveft-core's tests on NEON, in QEMU
#     wasm       waveft-core's tests in node, with simd128 and without, and the JavaScript package of targets/wasm
#     i686       waveft-core's and waveft-std's tests on 32 bits
#     s390x      waveft-core's tests on a big-endian machine, in QEMU
#     cortex-m   the firmware of targets/cortex-m, in QEMU
#     no-panic   that the core's checked entry points contain no panic
#     c          the C interface
#
# Needs Debian 12 or later as root, and installs there what is missing; elsewhere it says what that is.
# WAVEFT_TARGETS_SECONDS bounds each part; 3600 unless it is set. JOBS bounds cargo's jobs. A part's output is in
# target/targets/PART.log, and printed if it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

known=(aarch64 wasm i686 s390x cortex-m no-panic c)
usual=("${known[@]}")
# What takes long is done by one processor: fat link-time optimisation, and programs in QEMU.
together=2
source scripts/parts.sh

source scripts/debian-rust.sh
jobs=(${JOBS:+--jobs "$JOBS"})

# tests TARGET INSTRUCTIONS [OPTION...]: the packages' tests but those of documentation, each a program of its own; options are
# the tests' own.
tests() {
    local -x CARGO_TARGET_DIR=$PWD/target/debian CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0
    local -x WAVEFT_INSTRUCTIONS=$2 RUST_BACKTRACE=0
    deb test "${jobs[@]}" --locked "${build_std[@]}" --target "$1" \
        "${packages[@]}" --lib --tests -- "${@:3}"
}
build_std=(-Zbuild-std)
packages=(--package waveft-core)

# An emulator is ten to fifty times slower: a sixteenth of the random cases, and every golden but the first places of layers
# whose first thousand are compared.
emulated() {
    PROPTEST_CASES=16 tests "$@" --skip few_locations_of_large_layers_are_torchs
}

aarch64() {
    need gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -cpu cortex-a53 -L /usr/aarch64-linux-gnu"
    emulated aarch64-unknown-linux-gnu neon
}

s390x() {
    need gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user
    export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER=s390x-linux-gnu-gcc
    export CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_RUNNER="qemu-s390x -L /usr/s390x-linux-gnu"
    # QEMU 7.2 multiplies two f32 to an f64 (MDEBR) without extending the first. Only these two tests do so, in the sums that
    # they compare with.
    emulated s390x-unknown-linux-gnu scalar \
        --skip products_and_gradients_are_those_of_the_matrix --skip any_number_of_tokens_on_every_instruction_set
}

# Linked statically, so that an x86-64 machine runs it without another loader.
i686() {
    need gcc-i686-linux-gnu libc6-dev-i386-cross
    export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_LINKER=i686-linux-gnu-gcc
    export CARGO_TARGET_I686_UNKNOWN_LINUX_GNU_RUSTFLAGS="-C target-feature=+crt-static"
    packages+=(--package waveft-std)
    tests i686-unknown-linux-gnu sse2
}

wasm() {
    command -v node >/dev/null || need nodejs
    command -v npm >/dev/null || need npm
    need wasi-libc
    targets/wasm/check

    local libc=/usr/lib/wasm32-wasi
    local flags="-C link-self-contained=no -L native=$libc -C link-arg=$libc/crt1-command.o -C link-arg=--allow-undefined"
    build_std=(-Zbuild-std=std,panic_abort)
    export CARGO_TARGET_WASM32_WASIP1_LINKER=wasm-ld-22
    export CARGO_TARGET_WASM32_WASIP1_RUNNER="node --no-warnings $PWD/scripts/wasi.mjs"
    export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$flags -C target-feature=+simd128"
    tests wasm32-wasip1 simd128
    export CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=$flags
    tests wasm32-wasip1 scalar
}

case $WAVEFT_PART in
    cortex-m | no-panic) "targets/$WAVEFT_PART/check" ;;
    c) waveft-capi/check ;;
    *) "$WAVEFT_PART" ;;
esac
