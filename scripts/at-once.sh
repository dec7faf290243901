# Sourced by scripts that run several things at a time.
#
#     at_once NUMBER COMMAND ARGUMENT...      runs COMMAND with each ARGUMENT, NUMBER at a time; fails if one of them did
# shellcheck shell=bash

at_once() {
    local argument running=0 status=0
    for argument in "${@:3}"; do
        if ((running == $1)); then
            wait -n || status=1
        else
            running=$((running + 1))
        fi
        "$2" "$argument" &
    done
    for ((; running > 0; running--)); do wait -n || status=1; done
    return "$status"
}
