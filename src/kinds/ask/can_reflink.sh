# can_reflink DIRECTORY: whether files in it can share blocks: `yes`, `no`, or `unknown` before it is tried.
[ -d "$1" ] || { echo unknown; return; }
case $(stat -f -c %T -- "$1") in
btrfs) echo yes ;;
xfs)
    case $(xfs_info "$1" 2>/dev/null) in
    *reflink=1*) echo yes ;;
    *reflink=0*) echo no ;;
    *) echo unknown ;;
    esac
    ;;
ext2/ext3 | tmpfs | fuseblk | msdos) echo no ;;
*) echo unknown ;;
esac
