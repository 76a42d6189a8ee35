# iscsi_above SYSFS: says who stands on a block device of a session (`holder NAME`, `last-path MAP`), and adds it and all above it to
# `numbers` and `names`. A multipath device stands without it if it has another path that works, and that is none of `going`.
number=$(cat "$1/dev") || return 1
numbers="$numbers$number "
names="$names /dev/${1##*/}"
if { IFS= read -r name <"$1/dm/name"; } 2>/dev/null; then
    case $name in *[!A-Za-z0-9._+-]*) ;; *) names="$names /dev/mapper/$name" ;; esac
fi
for part in "$1"/*/partition; do
    [ ! -e "$part" ] || iscsi_above "${part%/partition}" || return 1
done
for holder in "$1"/holders/*; do
    [ -e "$holder" ] || continue
    uuid=
    { read -r uuid <"$holder/dm/uuid"; } 2>/dev/null
    case $uuid in
    mpath-*)
        dev=$(cat "$holder/dev") || return 1
        # What the device mapper does with each path: 8:16 A 0, or F where it failed.
        status=$(timeout -k 1 10 dmsetup status -j "${dev%:*}" -m "${dev#*:}" 2>&1) ||
            { printf 'which paths of %s work is not known: %s\n' "$(cat "$holder/dm/name")" "$status" >&2; return 1; }
        others= path=
        for word in $status; do
            if [ "$word" = A ]; then
                case $going in *" $path "*) path= ;; esac
                case $path in
                *[!0-9:]* | *:*:*) ;;
                ?*:?*)
                    # A disk that the kernel holds back has not failed there yet.
                    { read -r state <"/sys/dev/block/$path/device/state"; } 2>/dev/null || state=
                    case $state in running | live) others=yes ;; esac
                    ;;
                esac
            fi
            path=$word
        done
        [ -z "$others" ] || continue
        printf 'last-path %s\n' "$(cat "$holder/dm/name")"
        ;;
    *) printf 'holder %s\n' "$(cat "$holder/dm/name" 2>/dev/null || echo "${holder##*/}")" ;;
    esac
    iscsi_above "/sys/class/block/${holder##*/}" || return 1
done
