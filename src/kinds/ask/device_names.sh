# device_names: block devices by the names that udev and the device mapper keep for them, and the sources of btrfs mounts, whose
# own numbers tell nothing of the device: lines `NUMBER NAME`, with major and minor as hexadecimal digits.
while read -r line; do
    case ${line##* - } in "btrfs /dev/"*) ;; *) continue ;; esac
    line=${line##* - btrfs }
    stat -L -c '%F|%t:%T %n' -- "${line%% *}" 2>/dev/null
done </proc/self/mountinfo
set +f
# A link that leads nowhere, or a pattern without a match, names no device.
stat -L -c '%F|%t:%T %n' -- /dev/disk/by-id/* /dev/disk/by-partuuid/* /dev/disk/by-uuid/* /dev/disk/by-path/* \
    /dev/mapper/* 2>/dev/null
return 0
