# set_owner PATH INODE OWNER: gives a directory (or, by `with_image`, an image) to OWNER. An empty INODE is not compared, and what
# has that owner already is left alone: the root of an export that was mounted just now may be nobody's to give away.
if [ -d "$1" ] && [ ! -h "$1" ]; then
    if [ -z "$2" ]; then
        case $3 in *:*) have=$(stat -c %u:%g -- "$1") ;; *) have=$(stat -c %u -- "$1") ;; esac || return 1
        case $3 in :*) have=:${have#*:} ;; esac
        [ "$have" != "$3" ] || return 0
    fi
    cd -P -- "$1" || return 1
    [ -z "$2" ] || [ "$(stat -c %i .)" = "$2" ] || { echo "$1 is no longer the directory that was seen" >&2; return 1; }
    chown -- "$3" . || {
        case $(stat -f -c %T . 2>/dev/null) in
        nfs) echo "the server of $1 takes root for nobody (root_squash): give the exported directory to $3 there, and set its mode there too" >&2 ;;
        esac
        return 1
    }
else
    give() { $as chown -- "$1" "$here/image"; }
    with_image "$1" "$2" give "$3"
fi
