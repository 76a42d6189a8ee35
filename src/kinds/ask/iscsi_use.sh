# iscsi_use IQN PORT ADDRESS [ADDRESS] [-- PORT ADDRESS [ADDRESS]]...: who uses the disks of the sessions with a portal, where those
# behind each -- are ended in the same run: lines `holder NAME`, `last-path MAP`, `mounted TARGET`, `elsewhere PID TARGET` (in a mount
# namespace that unmounting does not reach), `kernel WHAT`, `swap PATH` and `open PID NAME`; then a line `end`. multipathd, which watches
# its paths, uses none.
sids=$(iscsi_sids "$@") || return 1
iqn=$1 all=$sids
while [ $# -gt 0 ]; do
    if [ "$1" = -- ]; then
        shift
        all="$all $(iscsi_sids "$iqn" "$@")" || return 1
    fi
    shift
done
numbers=' ' names= going=' ' mounted=' ' pools=' ' told='|'
set +f
for sid in $all; do
    for disk in "/sys/class/iscsi_session/session$sid"/device/target*/*:*/block/*; do
        [ ! -e "$disk/dev" ] || going="$going$(cat "$disk/dev") " || return 1
    done
done
for sid in $sids; do
    for unit in "/sys/class/iscsi_session/session$sid"/device/target*/*:*; do
        # Guests and tape drives need no block device.
        for node in "$unit"/scsi_generic/* "$unit"/scsi_tape/* "$unit"/scsi_changer/*; do
            [ ! -e "$node" ] || names="$names /dev/${node##*/}"
        done
        for node in "$unit"/bsg/*; do
            [ ! -e "$node" ] || names="$names /dev/bsg/${node##*/}"
        done
        for disk in "$unit"/block/*; do
            [ ! -e "$disk/dev" ] || iscsi_above "$disk" || return 1
        done
    done
done
[ -n "$names" ] || { echo end; return 0; }
# A btrfs has a number of its own, and a mount of it names one of its disks.
for file in /sys/fs/btrfs/*/devices/*; do
    [ -e "$file" ] || continue
    case "$names " in *" /dev/${file##*/} "*) ;; *) continue ;; esac
    pool=${file%/devices/*}
    pools="$pools$pool "
done
mounts=$(mounts_everywhere) || return 1
case $mounts in *end) ;; *) return 1 ;; esac
while read -r number scope pid target type source options; do
    found=
    case "$numbers|$names " in *" $number "*"|"* | *"|"*" $source "*) found=yes ;; esac
    [ "$type" != btrfs ] || for pool in $pools; do
        for file in "$pool"/devices/*; do
            name=${file##*/}
            { IFS= read -r mapped <"/sys/class/block/$name/dm/name"; } 2>/dev/null || mapped=
            case $source in "/dev/$name" | "/dev/mapper/$mapped") found=yes mounted="$mounted$pool " ;; esac
        done
    done
    set -f
    IFS=,
    set -- $options
    unset IFS
    set +f
    for option in "$@"; do
        case $option in
        logdev=/* | rtdev=/*)
            iscsi_is_one "$(printf '%b' "${option#*=}")"
            case $? in
            0) found=yes ;;
            2) printf '%s on %s leads nowhere\n' "$option" "$target" >&2; return 1 ;;
            esac
            ;;
        esac
    done
    [ -n "$found" ] || continue
    mounted="$mounted$number "
    line="mounted $target"
    [ "$scope" != private ] || line="elsewhere $pid $target"
    # A namespace that follows tells most mounts again.
    case $told in *"|$line|"*) continue ;; esac
    told="$told$line|"
    printf '%s\n' "$line"
done <<MOUNTS
${mounts%end}
MOUNTS
for pool in $pools; do
    case $mounted in *" $pool "*) ;; *) printf 'kernel the btrfs %s\n' "${pool##*/}" ;; esac
done
iscsi_kernel || return 1
while read -r name line; do
    case "$names " in *" $name "*) printf 'swap %s\n' "$name" ;; esac
done </proc/swaps
set -f
uses=$(open_files_below $names) || return 1
case $uses in *end) ;; *) return 1 ;; esac
printf '%s\n' "$uses" | while read -r word pid name; do
    case $word in
    name) [ "$name" = multipathd ] || printf 'open %s %s\n' "$pid" "$name" ;;
    read | write) case $pid in loop*) printf 'open %s %s\n' "$pid" "$name" ;; esac ;;
    esac
done
echo end
