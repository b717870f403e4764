# shellcheck shell=bash
#
# Messages of the scripts, which source this file.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

# Prints the comment at the top of the script.
usage() { sed -n '3,/^$/s/^# \{0,1\}//p' "$0"; }

# Fails if one of the programs $@ is missing.
need() {
    local program missing=()
    for program in "$@"; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    ((${#missing[@]} == 0)) ||
        fail "needs ${missing[*]} (cargo comes with Rust; Debian's package for mvn is maven, for" \
            "readelf binutils)"
}
