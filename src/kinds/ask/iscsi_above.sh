# iscsi_above SYSFS SESSION: says who stands on a block device of a session (`holder NAME`, `last-path MAP`), and adds it and all above
# it to `numbers` and `names`. A multipath device that has another path that works stands without this one.
number=$(cat "$1/dev") || return 1
numbers="$numbers$number "
names="$names /dev/${1##*/}"
if { IFS= read -r name <"$1/dm/name"; } 2>/dev/null; then
    case $name in *[!A-Za-z0-9._+-]*) ;; *) names="$names /dev/mapper/$name" ;; esac
fi
for part in "$1"/*/partition; do
    [ ! -e "$part" ] || iscsi_above "${part%/partition}" "$2" || return 1
done
for holder in "$1"/holders/*; do
    [ -e "$holder" ] || continue
    uuid=
    { read -r uuid <"$holder/dm/uuid"; } 2>/dev/null
    case $uuid in
    mpath-*)
        others=
        for slave in "$holder"/slaves/*; do
            case $(readlink -f "$slave") in */"session$2"/*) continue ;; esac
            { read -r state <"$slave/device/state"; } 2>/dev/null && [ "$state" = running ] && others=yes
        done
        [ -z "$others" ] || continue
        printf 'last-path %s\n' "$(cat "$holder/dm/name")"
        ;;
    *) printf 'holder %s\n' "$(cat "$holder/dm/name" 2>/dev/null || echo "${holder##*/}")" ;;
    esac
    iscsi_above "/sys/class/block/${holder##*/}" "$2" || return 1
done
