# Sourced by scripts that are made of parts: runs those that are named, or all of `usual`, and prints a line for each.
#
#     known=(one two three)     the parts, each a function
#     usual=(one two)           those that run if none is named
#     together=2                how many run at a time; 1 unless it is set
#     source scripts/parts.sh   with the script's own arguments, in the repository's folder
#     …
#     "$WAVEFT_PART"
#
# Each part is the script again, with WAVEFT_PART set, so that `timeout` can end all of it: there this file returns. A part's output
# is in target/SCRIPT/PART.log, and printed if it fails. WAVEFT_SCRIPT_SECONDS, with the script's name, bounds each part.
# shellcheck shell=bash disable=SC2154

for part in "$@"; do
    [[ " ${known[*]} " == *" $part "* ]] || { echo "no part $part: there are ${known[*]}" >&2; exit 2; }
done
[ -z "${WAVEFT_PART:-}" ] || return 0

script=$(basename "$0" .sh)
seconds=WAVEFT_${script^^}_SECONDS
[ $# -gt 0 ] || set -- "${usual[@]}"
mkdir -p "target/$script"
run_part() {
    local log=target/$script/$1.log start=$SECONDS result=passed
    WAVEFT_PART=$1 timeout "${!seconds:-3600}" bash "scripts/$script.sh" "$1" >"$log" 2>&1 || result=FAILED
    [ "$result" = passed ] || tail -60 "$log"
    printf '%-13s %s in %d s\n' "$1" "$result" $((SECONDS - start))
    [ "$result" = passed ]
}
source scripts/at-once.sh
status=0
at_once "${together:-1}" run_part "$@" || status=1
exit "$status"
