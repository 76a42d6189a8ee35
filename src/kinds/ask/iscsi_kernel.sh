# iscsi_kernel: who in the kernel has a device in `names` and `numbers`, without a mount, a file or a holder that tells it: lines
# `kernel WHAT`. Devices in `mounted` have a heartbeat because of that.
set +f
for pair in target_core_mod/target nvmet/nvmet ocfs2_nodemanager/cluster; do
    [ ! -d "/sys/module/${pair%/*}" ] || [ -d "/sys/kernel/config/${pair#*/}" ] ||
        { printf 'configfs is not mounted: whom %s serves is not known\n' "${pair%/*}" >&2; return 1; }
done
for file in /sys/kernel/config/target/core/*/*/udev_path; do
    [ -e "$file" ] || continue
    at=${file%/udev_path}
    what="the backstore ${at##*/core/} of this host as a target"
    # The disk itself, whatever the path was or is now.
    info=$(cat "$at/info") || return 1
    case $info in
    *"Major: "*)
        set -- ${info##*Major: }
        case $numbers in *" $1:$3 "*) printf 'kernel %s\n' "$what"; continue ;; esac
        ;;
    esac
    path=$(cat "$file") || return 1
    iscsi_is_one "$path"
    case $? in
    0) printf 'kernel %s\n' "$what" ;;
    2)
        case ${at##*/core/} in
        iblock_* | pscsi_*)
            [ "$(cat "$at/enable")" = 0 ] || { printf 'what %s is made of is not known: %s leads nowhere\n' "$what" "${path:-its path}" >&2; return 1; }
            ;;
        esac
        ;;
    esac
done
for file in /sys/kernel/config/nvmet/subsystems/*/namespaces/*/device_path; do
    [ -e "$file" ] || continue
    path=$(cat "$file") || return 1
    at=${file%/device_path}
    what="the NVMe namespace ${at##*/subsystems/} of this host as a target"
    iscsi_is_one "$path"
    case $? in
    0) printf 'kernel %s\n' "$what" ;;
    2)
        [ "$(cat "$at/enable")" = 0 ] ||
            { printf 'what %s is made of is not known: %s leads nowhere\n' "$what" "${path:-its path}" >&2; return 1; }
        ;;
    esac
done
for file in /sys/kernel/config/cluster/*/heartbeat/*/dev; do
    [ -e "$file" ] || continue
    name=$(cat "$file" 2>/dev/null) && [ -n "$name" ] || continue
    case "$names " in *" /dev/$name "*) ;; *) continue ;; esac
    case $mounted in *" $(cat "/sys/class/block/$name/dev") "*) continue ;; esac
    printf 'kernel the heartbeat of a cluster, which is on %s\n' "$name"
done
for name in $names; do
    name=${name##*/}
    # Only a journal that has a disk of its own is called by just that; XFS names its one among the options of the mount.
    [ ! -e "/proc/fs/jbd2/$name" ] || printf 'kernel the journal of a file system, which is on %s\n' "$name"
    [ ! -d "/sys/class/block/$name/bcache" ] || printf 'kernel bcache, which has %s\n' "$name"
    for link in /sys/fs/bcachefs/*/dev-*/block; do
        [ ! "$link" -ef "/sys/class/block/$name" ] || printf 'kernel a bcachefs, which has %s\n' "$name"
    done
done
# ZFS tells its disks only through programs that wait for them; udev has read what is on each. Where no pool is imported, none is.
[ -d /sys/module/zfs ] || return 0
if [ -d /proc/spl/kstat/zfs ]; then
    pools=
    for pool in /proc/spl/kstat/zfs/*/; do [ ! -d "$pool" ] || pools=yes; done
    [ -n "$pools" ] || return 0
fi
for number in $numbers; do
    signature= table=
    while IFS= read -r line; do
        case $line in
        E:ID_FS_TYPE=*) signature=${line#*=} ;;
        E:ID_PART_TABLE_TYPE=*) table=yes ;;
        esac
    done <"/run/udev/data/b$number" || return 1
    # A cache or a log of a pool may have no signature that udev knows.
    case $signature$table in
    '' | zfs_member*) printf 'kernel ZFS, for all that is known of %s: it has pools\n' "$number" ;;
    esac
done
return 0
