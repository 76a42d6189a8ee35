# create_image PATH FORMAT BYTES ALLOCATION OWNER MODE [BASE BASEFORMAT]: allocates an image where nobody else can reach it and links
# it into place, so that no half image is ever seen and nothing that exists is overwritten. OWNER and MODE may be empty. With BASE
# it is an overlay of that image, which must be there; nothing that a guest wrote into it is obeyed.
if [ -n "${7-}" ]; then
    [ -f "$7" ] && [ ! -h "$7" ] || { echo "the backing image $7 is not there" >&2; return 1; }
fi
in_private "${1%/*}" || return 1
(
    umask 077
    case $2-$4${7:+-over} in
    qcow2-sparse-over) qemu-img create -q -u -f qcow2 -b "$7" -F "$8" ./image "$3" ;;
    raw-sparse) truncate -s "$3" ./image ;;
    raw-falloc) fallocate -l "$3" ./image ;;
    raw-full) head -c "$3" /dev/zero >./image && sync ./image ;;
    qcow2-sparse) qemu-img create -q -f qcow2 ./image "$3" ;;
    qcow2-*) qemu-img create -q -f qcow2 -o preallocation="$4" ./image "$3" ;;
    *) echo "no image of format $2 with allocation $4" >&2; exit 1 ;;
    esac
) &&
    { [ -z "$5" ] || chown -- "$5" ./image; } &&
    chmod -- "${6:-0660}" ./image &&
    ln -T -- ./image "$1"
status=$?
rm -f ./image
cd / && rmdir -- "$private"
return "$status"
