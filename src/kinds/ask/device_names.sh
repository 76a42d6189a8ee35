# device_names: block devices by the names that udev and the device mapper keep for them, by those in fstab and crypttab, and the sources
# of btrfs mounts, whose own numbers tell nothing of the device: lines `NUMBER NAME`, with major and minor as hexadecimal digits.
while read -r line; do
    case ${line##* - } in "btrfs /dev/"*) ;; *) continue ;; esac
    line=${line##* - btrfs }
    stat -L -c '%F|%t:%T %n' -- "${line%% *}" 2>/dev/null
done </proc/self/mountinfo
for table in /etc/fstab /etc/crypttab; do
    [ ! -r "$table" ] || while read -r first second line; do
        for name in "$first" "$second"; do
            case $name in /dev/*) stat -L -c '%F|%t:%T %n' -- "$name" 2>/dev/null ;; esac
        done
    done <"$table"
done
set +f
# A link that leads nowhere, or a pattern without a match, names no device.
stat -L -c '%F|%t:%T %n' -- /dev/disk/by-id/* /dev/disk/by-partuuid/* /dev/disk/by-uuid/* /dev/disk/by-path/* \
    /dev/disk/by-label/* /dev/disk/by-partlabel/* /dev/mapper/* 2>/dev/null
return 0
