# iscsi_sessions IQN: the sessions with a target as the kernel has them: lines `session NUMBER STATE`, and below each
# `portal PORT ADDRESS` for each way in which its portal is written, `disk NAME NUMBER SECTORS STATE`, and below each disk
# `wwid TEXT`, `part NUMBER NAME` and `map NUMBER UUID NAME`; then a line `end`.
[ -d /sys/class ] || { echo '/sys is not mounted' >&2; return 1; }
set +f
for at in /sys/class/iscsi_session/session*; do
    [ -e "$at/targetname" ] || continue
    [ "$(cat "$at/targetname")" = "$1" ] || continue
    state=$(cat "$at/state") || return 1
    printf 'session %s %s\n' "${at##*/session}" "$state"
    for connection in "$at"/device/connection*/iscsi_connection/connection*; do
        for prefix in persistent_ ''; do
            [ -e "$connection/${prefix}address" ] || continue
            printf 'portal %s %s\n' "$(cat "$connection/${prefix}port")" "$(cat "$connection/${prefix}address")"
        done
    done
    for disk in "$at"/device/target*/*:*/block/*; do
        [ -e "$disk/dev" ] || continue
        printf 'disk %s %s %s %s\n' "${disk##*/}" "$(cat "$disk/dev")" "$(cat "$disk/size")" "$(cat "$disk/device/state")"
        [ ! -r "$disk/device/wwid" ] || printf 'wwid %s\n' "$(cat "$disk/device/wwid" 2>/dev/null)"
        for part in "$disk"/*/partition; do
            [ ! -e "$part" ] || { part=${part%/partition}; printf 'part %s %s\n' "$(cat "$part/dev")" "${part##*/}"; }
        done
        for holder in "$disk"/holders/*; do
            { read -r uuid <"$holder/dm/uuid"; } 2>/dev/null || continue
            case $uuid in mpath-*) printf 'map %s %s %s\n' "$(cat "$holder/dev")" "$uuid" "$(cat "$holder/dm/name")" ;; esac
        done
    done
done
echo end
