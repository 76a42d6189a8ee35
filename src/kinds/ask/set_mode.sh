# set_mode PATH INODE MODE: sets the mode of a directory (or, by `with_image`, of an image). An empty INODE is not compared, and what
# has that mode already is left alone.
if [ -d "$1" ] && [ ! -h "$1" ]; then
    if [ -z "$2" ]; then
        have=$(stat -c %a -- "$1") || return 1
        [ "$((0$have))" -ne "$((0$3))" ] || return 0
    fi
    cd -P -- "$1" || return 1
    [ -z "$2" ] || [ "$(stat -c %i .)" = "$2" ] || { echo "$1 is no longer the directory that was seen" >&2; return 1; }
    chmod -- "$3" . || {
        case $(stat -f -c %T . 2>/dev/null) in
        nfs) echo "the server of $1 takes root for nobody (root_squash): set mode $3 on the exported directory there" >&2 ;;
        esac
        return 1
    }
else
    turn() { $as chmod -- "$1" "$here/image"; }
    with_image "$1" "$2" turn "$3"
fi
