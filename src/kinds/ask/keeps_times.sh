# keeps_times PATH: whether the file system is one of this host alone, where nobody else gives inode numbers and times.
case $(stat -f -c %T -- "$1") in ext2/ext3 | xfs | btrfs | zfs | tmpfs | overlayfs) ;; *) return 1 ;; esac
