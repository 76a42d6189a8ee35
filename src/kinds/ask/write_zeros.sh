# write_zeros FILE BYTES: writes so many zeros to the disk, into a file that is there and is no link, and tells how far it has come.
# `as` may say as whom.
written=0
while [ "$written" -lt "$2" ]; do
    chunk=$(($2 - written))
    [ "$chunk" -le 67108864 ] || chunk=67108864
    $as dd if=/dev/zero of="$1" bs=1048576 iflag=count_bytes,fullblock count="$chunk" oflag=seek_bytes,nofollow seek="$written" conv=notrunc,nocreat,fsync status=none ||
        return 1
    written=$((written + chunk))
    larder_progress "$written" "$2"
done
