# finish_image PATH FORMAT BYTES OWNER MODE: gives the image in the making (`place_for_image`) its size, where it is smaller, and to whom it
# belongs, and links it into place when all of it is on the disk. OWNER may be empty.
case $2 in
raw) [ "$($as stat -c %s -- "$here/image")" -ge "$3" ] || $as truncate -s "$3" -- "$here/image" || return 1 ;;
*)
    size=$($as od -A n -v -t u1 -j 24 -N 8 -- "$here/image") || return 1
    have=0
    for byte in $size; do have=$((have * 256 + byte)); done
    [ "$have" -ge "$3" ] || $as qemu-img resize -q -f "$2" "$here/image" "$3" || return 1
    ;;
esac
{ [ -z "$4" ] || [ -n "$as" ] || chown -- "$4" "$here/image"; } &&
    $as chmod -- "${5:-0660}" "$here/image" &&
    $as sync -- "$here/image" &&
    $as ln -T -- "$here/image" "$1"
