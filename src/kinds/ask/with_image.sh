# with_image PATH INODE FUNCTION ARGUMENT...: calls FUNCTION in a private directory in which `image` is the very file that was seen,
# by a second link, whatever becomes of PATH meanwhile.
path=$1 inode=$2
shift 2
in_private "${path%/*}" || return 1
if ln -P -T -- "$path" ./image && [ "$(stat -c '%i %F' ./image)" = "$inode regular file" ]; then
    "$@"
    status=$?
else
    echo "$path is no longer the file that was seen" >&2
    status=1
fi
rm -f ./image
cd / && rmdir -- "$private"
return "$status"
