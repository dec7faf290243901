# Sourced by scripts that are made of parts: runs those that are named, or all of `usual`, and prints a line for each.
#
#     known=(one two three)     the parts, each a function
#     usual=(one two)           those that run if none is named
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
status=0
for part in "$@"; do
    log=target/$script/$part.log
    start=$SECONDS
    result=passed
    WAVEFT_PART=$part timeout "${!seconds:-3600}" bash "scripts/$script.sh" "$part" >"$log" 2>&1 || result=FAILED
    if [ "$result" = FAILED ]; then
        tail -60 "$log"
        status=1
    fi
    printf '%-13s %s in %d s\n' "$part" "$result" $((SECONDS - start))
done
exit "$status"
