# Sourced by what builds for targets that rustup cannot bring: Debian's Rust, whose library sources build `core` and `std` for
# any target that its LLVM knows.
#
#     source scripts/debian-rust.sh
#     need gcc-aarch64-linux-gnu qemu-user
#     deb test -Zbuild-std --target aarch64-unknown-linux-gnu
# shellcheck shell=bash

# Installs the Debian packages that are missing; says which, and fails, where it may not. Waits for another call of this, and for
# another's apt-get.
need() {
    local lock status=0
    exec {lock}<"${BASH_SOURCE[0]}"
    flock "$lock"
    install_missing "$@" || status=1
    exec {lock}<&-
    return "$status"
}

install_missing() {
    local package missing=()
    for package in "$@"; do
        dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    local install=(apt-get -o DPkg::Lock::Timeout=600 install --yes --no-install-recommends "${missing[@]}")
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing, as Debian names them: ${missing[*]}" >&2
        return 1
    fi
    echo "installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    # The package lists may be old, or not there yet.
    "${install[@]}" >/dev/null 2>&1 || {
        apt-get -o DPkg::Lock::Timeout=600 update >/dev/null
        "${install[@]}" >/dev/null
    } || {
        echo "cannot install ${missing[*]}" >&2
        return 1
    }
}

# Debian's cargo, with the unstable -Zbuild-std. /usr/bin first, or it takes another rustc from the path; and no RUSTUP_TOOLCHAIN
# or CARGO of another cargo that may have started this script.
deb() {
    need rustc-web cargo-web rust-web-src lld-22 || return 1
    env --unset=RUSTUP_TOOLCHAIN --unset=CARGO --unset=RUSTC PATH="/usr/bin:$PATH" RUSTC_BOOTSTRAP=1 /usr/bin/cargo "$@"
}
