# with_image PATH INODE FUNCTION ARGUMENT...: calls FUNCTION with a private directory (`place_for_image`) in which `image` is the very
# file that was seen, by a second link, whatever becomes of PATH meanwhile.
path=$1 inode=$2
shift 2
place_for_image "${path%/*}" || return 1
if $as ln -P -T -- "$path" "$here/image" && case $($as stat -c '%i %f' "$here/image") in "$inode 8"???) ;; *) false ;; esac; then
    "$@"
    status=$?
else
    echo "$path is no longer the file that was seen" >&2
    status=1
fi
$as rm -f "$here/image"
cd / && $as rmdir -- "$private"
return "$status"
