# shellcheck shell=bash disable=SC2034,SC2154 # the scripts that source this share its variables
#
# Builds the agent, and gets the JDK and the libraries of the Java programs that run under it. The
# scripts that run such programs source this file.

scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=${scripts%/*}
target=$(cd "$top" && realpath -m -- "${CARGO_TARGET_DIR:-target}")
# shellcheck source=scripts/messages.bash
. "$scripts/messages.bash"

# No agent and no options from the environment.
unset JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS ZAUDIT_OPTIONS

# Prints the folder of libzaudit.so: ZAUDIT_BUILD, or where it has built the packages $@. All
# scripts build both zaudit and zaudit-cli: their dependencies may have other features together than
# alone, and cargo would build them again.
build() {
    local library
    if [[ -n ${ZAUDIT_BUILD:-} ]]; then
        [[ -f $ZAUDIT_BUILD/libzaudit.so ]] || fail "ZAUDIT_BUILD has no libzaudit.so: $ZAUDIT_BUILD"
        realpath "$ZAUDIT_BUILD"
        return
    fi
    need cargo
    library=$(cd "$top" &&
        cargo build --release --locked "${@/#/-p}" --message-format json-render-diagnostics |
        sed -n 's/.*"\([^"]*\/libzaudit\.so\)".*/\1/p' | tail -n 1) || return
    [[ -f $library ]] || fail "cargo built no libzaudit.so"
    dirname "$library"
}

# Prints "MAJOR JAVA_HOME": of ZAUDIT_JDKS, the first with one of the majors $@; else JDK $1.
choose_jdk() {
    if [[ -n ${ZAUDIT_JDKS:-} ]]; then
        "$scripts/jdks" "$@" | head -n 1
    else
        "$scripts/jdks" "$1"
    fi
}

# Prints the class path of $fixture/pom.xml with version $2 of the library $1. Maven runs again only
# if pom.xml has changed or a file is missing. Needs $work and $java_home.
class_path() {
    local list=$work/$2.classpath log=$work/$2.maven.log
    if ! [[ $list -nt $fixture/pom.xml ]] ||
        ! tr ':' '\0' <"$list" | xargs -0 ls >/dev/null 2>&1; then
        command -v java >/dev/null || export JAVA_HOME="${JAVA_HOME:-$java_home}" # for Maven
        mvn -q -B -Dstyle.color=never -f "$fixture/pom.xml" "-D$1.version=$2" \
            dependency:build-classpath "-Dmdep.outputFile=$list" >"$log" 2>&1 ||
            fail "Maven cannot get $1 $2: $(grep -m 1 ERROR "$log" || cat "$log")"
        touch "$list" # Maven does not write a file that would stay the same
    fi
    cat "$list"
}
