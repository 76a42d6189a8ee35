# unlock_mount_point DIRECTORY [MODE UID:GID]: takes the lock off again, and gives back mode and owner where they are known.
if flags=$(lsattr -d -- "$1" 2>/dev/null); then
    case ${flags%% *} in *i*) chattr -i -- "$1" || return 1 ;; esac
fi
[ $# -lt 3 ] || { chown "$3" -- "$1" && chmod "$2" -- "$1"; }
