# shellcheck shell=bash disable=SC2154
#
# Packages of another suite of Debian than this machine's, for the scripts, which source this file.
# They set `suite`, and `apt` to a folder for what apt keeps.

# Prepares the folder; prints the reason if it fails.
begin_apt() {
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    write_sources || { echo "there is no Debian archive in /etc/apt"; return 1; }
}

# The machine's own source of Debian's archive with the suite replaced: mirror, key and components
# stay.
write_sources() {
    local deb822=/etc/apt/sources.list.d/debian.sources list=/etc/apt/sources.list
    if [[ -f $deb822 ]]; then
        # The first stanza that is not the security archive, which has no such suite.
        awk -v suite="$suite" '
            BEGIN { RS = ""; FS = "\n" }
            /(^|\n)Suites:[^\n]*-security/ { next }
            /(^|\n)Suites:/ {
                sub(/(^|\n)Suites:[^\n]*/, "\nSuites: " suite)
                sub(/^\n/, "")
                print
                exit
            }
        ' "$deb822" >"$apt/debian.sources"
        [[ -s $apt/debian.sources ]]
    elif [[ -f $list ]]; then
        # deb [options] URI SUITE COMPONENT…
        expand "$list" | sed -nE "/cdrom:|-security/d
            s/^(deb +(\[[^]]*\] +)?[^ ]+) +[^ ]+ +.*\bmain\b.*/\1 $suite main/p" |
            head -n 1 >"$apt/debian.list"
        [[ -s $apt/debian.list ]]
    else
        return 1
    fi
}

# Runs the apt command $1 with the sources above; it writes only below $apt.
with_apt() {
    local command=$1 sources
    shift
    sources=$(compgen -G "$apt/debian.*")
    "$command" -q \
        -o Dir::State="$apt/state" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt/cache" \
        -o Dir::Etc::sourcelist="$sources" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
        -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false \
        -o Acquire::Retries=3 -o APT::Update::Error-Mode=any -o APT::Sandbox::User=root "$@"
}
