# device_facts PATH: what a block device is and holds, without writing to it and without anything that changes by itself.
facts=$(stat -L -c '%F|%t %T' -- "$1") || return
printf 'type %s\n' "${facts%|*}"
[ "${facts%|*}" = 'block special file' ] || return 0
dev=$(readlink -e -- "$1") || return
facts=${facts#*|}
number=$((0x${facts% *})):$((0x${facts#* }))
printf 'path %s\nnumber %s\n' "$dev" "$number"
bytes=$(blockdev --getsize64 "$dev") && ro=$(blockdev --getro "$dev") || return
printf 'size %s\nreadonly %s\n' "$bytes" "$ro"
sys=/sys/dev/block/$number
for name in wwid device/wwid serial device/serial dm/uuid; do
    [ ! -r "$sys/$name" ] || printf 'identity %s\n' "$(cat "$sys/$name" 2>/dev/null)"
done
[ ! -r "$sys/dm/name" ] || printf 'mapper %s\n' "$(cat "$sys/dm/name")"
[ -d "$sys" ] || echo 'sysfs missing'
set +f
for holder in "$sys"/holders/*; do [ ! -e "$holder" ] || printf 'holder %s\n' "${holder##*/}"; done
# A path of a multipath device, or a partition of one, is not the disk: only the map above it is. One that multipathd claims may have
# no map yet.
paths=$sys
[ ! -e "$sys/partition" ] || paths=$sys/..
for holder in "$paths"/holders/*; do
    { read -r uuid <"$holder/dm/uuid"; } 2>/dev/null || continue
    case $uuid in mpath-*) printf 'path-of %s %s\n' "$uuid" "$(cat "$holder/dm/name")" ;; esac
done
[ ! -r "/run/udev/data/b$number" ] || while read -r line; do
    [ "$line" != E:DM_MULTIPATH_DEVICE_PATH=1 ] || echo claimed
done <"/run/udev/data/b$number"
# What comes over the network has its session in its path in sysfs; what is made of it stands above.
for part in "$sys" "$sys"/slaves/* "$sys"/slaves/*/slaves/* "$sys"/slaves/*/slaves/*/slaves/*; do
    case $(readlink -f "$part") in
    */session[0-9]*/target* | */nvme-fabrics/*)
        echo network
        break
        ;;
    esac
done
for part in "$sys"/*/partition; do [ ! -e "$part" ] || { part=${part%/partition}; printf 'partition %s\n' "${part##*/}"; }; done
set -f
while read -r name rest; do [ "$name" != "$dev" ] || echo swap; done </proc/swaps
# QEMU opens a disk without claiming it for itself: who has it open is asked here.
uses=$(open_files_below "$dev") || return 1
printf '%s\n' "$uses" | while read -r word rest; do
    case $word in read | write) printf 'open %s\n' "${rest%% *}" ;; esac
done
found=$(blkid -p -o export -- "$dev" 2>&1)
printf 'blkid %s\n' "$?"
[ -z "$found" ] || printf '%s\n' "$found" | while IFS= read -r line; do printf 'blkid: %s\n' "$line"; done
found=$(wipefs --noheadings --output TYPE,OFFSET -- "$dev" 2>&1)
printf 'wipefs %s\n' "$?"
[ -z "$found" ] || printf '%s\n' "$found" | while IFS= read -r line; do printf 'wipefs: %s\n' "$line"; done
# The first and the last MiB, and what a device of odd size has behind: can they be read, and is anything in them?
for at in 0 $((bytes / 65536 - 16)); do
    [ "$at" -ge 0 ] || at=0
    if trouble=$(dd if="$dev" of=/dev/null bs=65536 skip="$at" count=17 status=none 2>&1); then
        printf 'bytes %s\n' "$(dd if="$dev" bs=65536 skip="$at" count=17 status=none | tr -d '\000' | wc -c)"
    else
        printf 'unreadable %s\n' "$trouble"
    fi
done
