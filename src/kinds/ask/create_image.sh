# create_image PATH FORMAT BYTES ALLOCATION OWNER MODE: allocates an image under a name of its own and links it into place,
# so that no half image is ever seen and nothing that exists is overwritten. OWNER and MODE may be empty.
draft=${1%/*}/.${1##*/}.larder-new
rm -f -- "$draft" || return 1
(
    umask 077
    case $2-$4 in
    raw-sparse) truncate -s "$3" -- "$draft" ;;
    raw-falloc) fallocate -l "$3" -- "$draft" ;;
    raw-full) head -c "$3" /dev/zero >"$draft" && sync -- "$draft" ;;
    qcow2-sparse) qemu-img create -q -f qcow2 -- "$draft" "$3" ;;
    qcow2-*) qemu-img create -q -f qcow2 -o preallocation="$4" -- "$draft" "$3" ;;
    *) echo "no image of format $2 with allocation $4" >&2; exit 1 ;;
    esac
) &&
    { [ -z "$5" ] || chown -- "$5" "$draft"; } &&
    chmod -- "${6:-0660}" "$draft" &&
    ln -T -- "$draft" "$1"
status=$?
rm -f -- "$draft"
return "$status"
