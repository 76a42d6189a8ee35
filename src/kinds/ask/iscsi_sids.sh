# iscsi_sids IQN PORT ADDRESS [ADDRESS]: the numbers of the sessions with a portal, whose address may be written in two ways.
set +f
for at in /sys/class/iscsi_session/session*; do
    [ -e "$at/targetname" ] || continue
    [ "$(cat "$at/targetname")" = "$1" ] || continue
    for connection in "$at"/device/connection*/iscsi_connection/connection*; do
        for prefix in persistent_ ''; do
            [ -e "$connection/${prefix}address" ] || continue
            [ "$(cat "$connection/${prefix}port")" = "$2" ] || continue
            address=$(cat "$connection/${prefix}address")
            [ "$address" = "$3" ] || [ "$address" = "${4:-$3}" ] || continue
            printf '%s\n' "${at##*/session}"
            break 2
        done
    done
done
