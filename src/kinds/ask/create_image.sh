# create_image PATH FORMAT BYTES ALLOCATION OWNER MODE [BASE BASEFORMAT]: allocates an image where nobody else can reach it and links
# it into place, so that no half image is ever seen and nothing that exists is overwritten. OWNER and MODE may be empty. With BASE
# it is an overlay of that image, which must be there; nothing that a guest wrote into it is obeyed.
if [ -n "${7-}" ]; then
    [ -f "$7" ] && [ ! -h "$7" ] || { echo "the backing image $7 is not there" >&2; return 1; }
fi
place_for_image "${1%/*}" || return 1
(
    umask 077
    # A file of our own, and no link: what follows writes into this one.
    $as dd if=/dev/null of="$here/image" oflag=nofollow conv=excl status=none || exit 1
    case $2-$4${7:+-over} in
    qcow2-sparse-over) $as qemu-img create -q -u -f qcow2 -b "$7" -F "$8" "$here/image" "$3" ;;
    raw-sparse) $as truncate -c -s "$3" "$here/image" ;;
    raw-falloc)
        $as fallocate -l "$3" "$here/image" || {
            echo 'room cannot be reserved there; allocation = "full" writes every byte, "sparse" none' >&2
            exit 1
        }
        ;;
    raw-full) write_zeros "$here/image" "$3" ;;
    qcow2-sparse) $as qemu-img create -q -f qcow2 "$here/image" "$3" ;;
    qcow2-*) $as qemu-img create -q -f qcow2 -o preallocation="$4" "$here/image" "$3" ;;
    *) echo "no image of format $2 with allocation $4" >&2; exit 1 ;;
    esac
) &&
    # What belongs to somebody else than root already is no one's to give away.
    { [ -z "$5" ] || [ -n "$as" ] || chown -- "$5" "$here/image"; } &&
    $as chmod -- "${6:-0660}" "$here/image" &&
    $as ln -T -- "$here/image" "$1"
status=$?
$as rm -f "$here/image"
cd / && $as rmdir -- "$private"
return "$status"
