# grow_image PATH INODE FORMAT PREALLOCATION BYTES: grows an image in place. qemu-img obeys the header of the image, so it runs with
# no more rights than whoever may write the image has.
grow() {
    if [ -n "$as" ]; then
        $as qemu-img resize -q -f "$1" --preallocation="$2" "$here/image" "$3"
        return
    fi
    facts=$(stat -c '%u %g %a' ./image) || return 1
    uid=${facts%% *} mode=${facts##* } gid=${facts#* }
    gid=${gid% *}
    # A group that may write counts for more than an owner that is root.
    case $uid$mode in 0*[2367]?) uid=65534 ;; esac
    chmod 0711 . || return 1
    setpriv --reuid="$uid" --regid="$gid" --clear-groups -- qemu-img resize -q -f "$1" --preallocation="$2" ./image "$3"
}
with_image "$1" "$2" grow "$3" "$4" "$5"
