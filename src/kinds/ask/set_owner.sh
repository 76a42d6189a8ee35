# set_owner PATH INODE OWNER: gives a directory (or, by `with_image`, an image) to OWNER. An empty INODE is not compared.
if [ -d "$1" ] && [ ! -h "$1" ]; then
    cd -P -- "$1" || return 1
    [ -z "$2" ] || [ "$(stat -c %i .)" = "$2" ] || { echo "$1 is no longer the directory that was seen" >&2; return 1; }
    chown -- "$3" .
else
    with_image "$1" "$2" chown -- "$3" ./image
fi
