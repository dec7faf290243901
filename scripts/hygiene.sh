#!/usr/bin/env bash
# Checks what a release needs beside its tests, and prints a line for each part: its name, whether it passed, and its time.
#
#     scripts/hygiene.sh [PART...]        all parts but the last two, or some of these:
#
#     unsafe         that `unsafe` is in the files listed below and in no others
#     links          that what the Markdown files link to is there
#     report         that the README's figures and benches/results/REPORT.md are those of the results. Needs Python 3
#     docs           that rustdoc builds without a warning, with all features, private items too
#     dependencies   licences, bans and sources of all dependencies, by deny.toml
#     features       that every set of features builds
#     minimal        that the least versions that Cargo.toml asks for build
#     msrv           that the oldest Rust that Cargo.toml promises builds everything, tests too
#     api            that the libraries' public interface is the one in docs/api; WAVEFT_ACCEPT=1 writes it there. Needs a nightly Rust
#     package        that each crate that is published builds from its package, and how large that is
#     sanitizers     tests under the address and the thread sanitizer. Needs a nightly Rust, Debian 12 or
#                    later, and half an hour
#     advisories     known holes in dependencies: fetches the advisory database, so it needs the whole network
#
# Needs Rust as Cargo.toml's rust-version says. Tools are built by `cargo install` where they are missing, into the folder that
# WAVEFT_TOOLS names; ~/.cache/waveft-tools unless it is set. WAVEFT_HYGIENE_SECONDS bounds each part; 3600 unless it is set.
# JOBS bounds cargo's jobs. A part's output is in target/hygiene/PART.log, and printed if it fails.
set -euo pipefail
cd "$(dirname "$0")/.."

known=(unsafe links report docs dependencies features minimal msrv api package sanitizers advisories)
usual=("${known[@]:0:10}")
source scripts/parts.sh

tools=${WAVEFT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/waveft-tools}
export PATH="$tools/bin:$PATH"
[ -z "${JOBS:-}" ] || export CARGO_BUILD_JOBS=$JOBS
published=(waveft-core waveft-std waveft-capi waveft-cli)
rust_version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)

# Builds tools that are missing, at these versions: another one may read another format, or find other things.
# Without optimisation, which takes longer than they run.
need_tool() {
    command -v "$1" >/dev/null && return 0
    echo "installing $1 $2 into $tools"
    CARGO_TARGET_DIR=$tools/target CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug --locked --root "$tools" "$1@$2"
}

# A copy of the tree without what git does not know, for what would change files.
copy_of_tree() {
    rm -rf "$1"
    mkdir -p "$1"
    git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from - | tar --extract --directory "$1"
}

# Where `unsafe` is, and why. `SAFETY` beside each block says why that one is sound; clippy asks for it.
unsafe_files() {
    cat <<'FILES'
fuzz/fuzz_targets/c_interface.rs     calls the C interface
targets/cortex-m/src/lib.rs          reads the stack below the program's, to see how far it went
targets/no-panic/src/lib.rs          the symbols that the linker must not need
targets/wasm/src/lib.rs              JavaScript's pointers
waveft-capi/src/atoms.rs             C's pointers, as in all of waveft-capi
waveft-capi/src/delta_weight.rs      C's pointers
waveft-capi/src/filter_bank.rs       C's pointers
waveft-capi/src/lib.rs               a name for C
waveft-capi/src/locations.rs         C's pointers
waveft-capi/src/memory.rs            the one place that makes slices of C's pointers
waveft-capi/src/optimiser.rs         C's pointers
waveft-capi/src/status.rs            a name for C
waveft-capi/src/transform.rs         C's pointers
waveft-capi/src/wavedec2.rs          C's pointers
waveft-capi/src/wavelets.rs          names for C
waveft-capi/tests/agreement.rs       calls the C interface
waveft-capi/tests/bad_input.rs       calls the C interface
waveft-capi/tests/support/mod.rs     calls the C interface
waveft-core/src/isa.rs               enters functions compiled for instructions that the machine was found to have; prefetches
waveft-core/src/lanes/x86.rs         those instructions
waveft-std/src/checkpoint.rs         the memory map
waveft-std/src/linear/product.rs     the crate gemm's function, which takes pointers
FILES
}

unsafe() {
    # The word in code: not in a comment, and not as part of the lint's name.
    local found listed
    found=$(git ls-files '*.rs' | xargs grep --files-with-matches --perl-regexp '^(?!\s*//)(?:(?!//).)*\bunsafe\b' | sort)
    listed=$(unsafe_files | cut --delimiter ' ' --fields 1 | sort)
    diff --label listed --label found --unified=0 <(echo "$listed") <(echo "$found")
    local file crate
    for crate in waveft-core waveft-std; do
        grep --quiet '^#!\[deny(unsafe_code)\]$' "$crate/src/lib.rs" || { echo "$crate/src/lib.rs does not deny unsafe code"; return 1; }
    done
    grep --quiet '^#!\[forbid(unsafe_code)\]$' waveft-cli/src/main.rs || { echo "waveft-cli/src/main.rs does not forbid unsafe code"; return 1; }
    unsafe_files
}

links() {
    local file link status=0
    while read -r file; do
        while read -r link; do
            [ -e "$(dirname "$file")/${link%%#*}" ] || { echo "$file: no $link"; status=1; }
        done < <(grep --only-matching --perl-regexp '\]\(\K(?!\w+:|#)[^)\s]+' "$file")
    done < <(git ls-files '*.md')
    return "$status"
}

report() {
    python3 benches/report --check
}

docs() {
    # Private items first, so that what stays in target/doc is the public documentation.
    RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" \
        cargo doc --workspace --no-deps --all-features --document-private-items --locked
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --all-features --locked
}

dependencies() {
    need_tool cargo-deny 0.20.2
    cargo deny --all-features --locked check licenses bans sources
}

advisories() {
    need_tool cargo-deny 0.20.2
    cargo deny --all-features --locked check advisories
}

features() {
    need_tool cargo-hack 0.6.46
    # The C interface without std takes the panic handler of a target that aborts: `scripts/targets.sh c` builds that.
    cargo hack check --feature-powerset --package waveft-core --package waveft-std --package waveft-cli --locked
    cargo hack check --feature-powerset --exclude-no-default-features --package waveft-capi --locked
}

minimal() {
    copy_of_tree target/hygiene/minimal
    cd target/hygiene/minimal
    export RUSTC_BOOTSTRAP=1
    cargo update -Zdirect-minimal-versions
    cargo check --workspace --exclude waveft-benches --all-features --target-dir ../minimal-target
}

msrv() {
    local cargo=(cargo)
    if ! rustc --version | grep --quiet --fixed-strings "rustc $rust_version."; then
        cargo=(cargo "+$rust_version.0")
        "${cargo[@]}" --version || { echo "needs Rust $rust_version: rustup toolchain install $rust_version.0"; return 1; }
    fi
    "${cargo[@]}" check --workspace --all-targets --locked
}

api() {
    need_tool cargo-public-api 0.52.0
    # The listing is made from rustdoc's JSON, which the tool asks a nightly toolchain for.
    cargo +nightly --version || { echo "needs a nightly Rust: rustup toolchain install nightly"; return 1; }
    local -x CARGO_TARGET_DIR=target/hygiene/api
    local crate status=0
    for crate in waveft-core waveft-std; do
        local listing=docs/api/$crate.txt
        cargo public-api --package "$crate" --all-features -sss >"target/hygiene/$crate.txt"
        if [ -n "${WAVEFT_ACCEPT:-}" ]; then
            mkdir -p docs/api
            cp "target/hygiene/$crate.txt" "$listing"
        fi
        diff --unified=0 "$listing" "target/hygiene/$crate.txt" || status=1
    done
    return "$status"
}

package() {
    local crate options=()
    for crate in "${published[@]}"; do options+=(--package "$crate"); done
    # What is built is not run.
    local -x CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0
    cargo package "${options[@]}" --locked --allow-dirty --target-dir target/hygiene/package
    for crate in target/hygiene/package/package/*.crate; do
        printf '%s: %d KB\n' "$(basename "$crate")" $(($(stat --format %s "$crate") / 1000))
        for file in Cargo.toml README.md LICENSE-MIT LICENSE-APACHE; do
            tar --list --file "$crate" | grep "^[^/]*/$file$" >/dev/null || { echo "$crate lacks $file"; return 1; }
        done
    done
}

# Tests of the packages that have `unsafe` code or threads, but for documentation tests, which rustdoc would build without the
# sanitizer.
#
# The address sanitizer does with std as the toolchain has it: it sees what our code and the dependencies' read and write, and
# everything allocated, but not what std's compiled functions do. The thread sanitizer has to see every atomic operation, those of
# std's locks too, or it reports races that are none. So std is built with it, by Debian's Rust, which has std's source; the
# sanitizer's own functions are the nightly's, which is built on the same LLVM.
sanitizers() {
    cargo +nightly --version || { echo "needs a nightly Rust: rustup toolchain install nightly"; return 1; }
    local host runtime
    host=$(rustc +nightly --version --verbose | sed -n 's/^host: //p')
    runtime=$(rustc +nightly --print sysroot)/lib/rustlib/$host/lib/librustc-nightly_rt.tsan.a
    RUSTFLAGS=-Zsanitizer=address \
        under_sanitizer address cargo +nightly test \
        --package waveft-core --package waveft-std --package waveft-capi --package waveft-cli
    source scripts/debian-rust.sh
    # All of the sanitizer's functions stand in for the system's, whether or not something asks for them; it looks for a few of
    # the system's that are no longer there to link with.
    RUSTFLAGS="-Zsanitizer=thread -Zexternal-clangrt $(link_with -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive \
        -lstdc++ -lm -lc -ldl -lpthread -lrt -lresolv -Wl,--unresolved-symbols=ignore-all)" \
        under_sanitizer thread deb test -Zbuild-std --package waveft-std --package waveft-cli
}

link_with() {
    printf -- '-Clink-arg=%s ' "$@"
}

# under_sanitizer NAME COMMAND...: RUSTFLAGS has the sanitizer, the command is a cargo's `test` of some packages.
under_sanitizer() {
    local start=$SECONDS
    # Frames grow, and tests' threads have little stack. `--target` keeps the flags from build scripts.
    export RUSTFLAGS
    local -x RUST_MIN_STACK=16777216 CARGO_PROFILE_TEST_DEBUG=line-tables-only
    # A sanitizer's own memory is more than what these tests allow.
    local -x WAVEFT_UNLIMITED_MEMORY=1
    # Memory that cannot be had is refused, as the system does, and not the end. What the sanitizer has to say is not on the
    # standard error of commands, which tests read, but in files; and the exit status of a report is not one of a command's own.
    local reports=$PWD/target/hygiene/$1-report
    rm -f "$reports"*
    local -x ASAN_OPTIONS=allocator_may_return_null=1:exitcode=86:log_path=$reports
    local -x TSAN_OPTIONS=$ASAN_OPTIONS
    local status=0
    "${@:2}" --no-fail-fast --locked --target "$host" --target-dir "target/hygiene/$1" --lib --tests \
        -- --skip memory_does_not_grow_with_the_base |
        tee "target/hygiene/$1.log" || status=1
    # What has a stack is more than a word on memory that could not be had.
    { grep --no-messages --files-with-matches '#0 ' "$reports".* || true; } | xargs --no-run-if-empty tail -n +1 | tee "$reports"
    [ "$status" -eq 0 ] && [ ! -s "$reports" ]
    printf '%s: %d tests passed in %d s\n' "$1" \
        "$(awk '/^test result: ok/ { sum += $4 } END { print sum }' "target/hygiene/$1.log")" $((SECONDS - start))
}

"$WAVEFT_PART"
