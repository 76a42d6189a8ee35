# upload_media PATH BYTES SHA256 [INODE SIZE WRITTEN CHANGED]: what stands on standard input becomes the file PATH, if it is so many bytes
# with that digest and is whole on the disk. It is written where nobody else can reach it, and linked into place, so that nothing that
# exists is overwritten; with INODE it takes the place of that very file, while it has the content that was seen. A transfer takes
# long: what guards it is asked again at its end.
place_for_image "${1%/*}" || return 1
# Whether FILE is the one that was seen. Its time of change is that of this host's disk, and no server's.
is_seen() {
    case $($as stat -c '%f %i %s %.Y' -- "$1") in 8???" $2 $3 $4") ;; *) return 1 ;; esac
}
put() {
    umask 077
    $as dd of="$here/image" bs=1048576 iflag=fullblock oflag=nofollow conv=excl,fsync status=none || return 1
    [ "$($as stat -c %s -- "$here/image")" = "$2" ] || { echo "the file came cut short; nothing was put into place" >&2; return 1; }
    if [ -z "$as" ]; then
        chgrp --reference=.. -- ./image || return 1
    fi
    $as chmod -- 0644 "$here/image" || return 1
    # What is compared is what the disk or the server gives back, not what this host remembers of writing it.
    $as dd if="$here/image" iflag=nocache count=0 status=none 2>/dev/null || :
    whole=$($as stat -c '%d %i %s %.Y' -- "$here/image")
    digest=$($as sha256sum -- "$here/image") || return 1
    digest=${digest#\\}
    [ "${digest%% *}" = "$3" ] || { echo "what came is another file than the plan was made for; nothing was put into place" >&2; return 1; }
    larder_still || return 1
    if [ -z "${4-}" ]; then
        $as ln -T -- "$here/image" "$1" || return 1
    else
        is_seen "$1" "$4" "$5" "$6" && { ! keeps_times "$1" || [ "$(stat -c %.Z -- "$1")" = "$7" ]; } ||
            { echo "$1 is no longer the file that was seen" >&2; return 1; }
        # A server may remove what is there first, and then refuse the new one. So what is there keeps a second name until then.
        $as ln -P -T -- "$1" "$here/before" || { echo "$1 cannot be kept meanwhile; it was left alone" >&2; return 1; }
        is_seen "$here/before" "$4" "$5" "$6" || { echo "$1 is no longer the file that was seen" >&2; return 1; }
        $as mv -f -T -- "$here/image" "$1" || {
            [ ! -e "$1" ] && [ ! -h "$1" ] || return 1
            $as ln -P -T -- "$here/before" "$1" && return 1
            echo "$1 was taken away, and neither file could be put there: the old one is $private/before, the new one $private/image" >&2
            return 3
        }
    fi
    $as rm -f -- "$here/image" "$here/before"
    # Some kernels cannot do that for a directory of a server; the file itself is on its disk.
    $as sync -- "${1%/*}" || [ -n "$remote" ] || return 1
    # Only a file that nobody but root can change keeps its digest: what others say of times is not believed.
    keeps_times "$1" || return 0
    facts=$(stat -c '%f %u %d %i %s %.Y %.Z' -- "$1") || return 0
    [ "$(stat -c '%d %i %s %.Y' -- "$1")" = "$whole" ] || { echo "$1 was changed at once" >&2; return 1; }
    name=$(printf '%s' "$1" | sha256sum) || return 0
    (umask 022 && mkdir -p -- /var/lib/larder) || return 0
    { mkdir -p -m 0700 -- /var/lib/larder/digests && printf '%s\n%s\n' "$3" "$facts" >/var/lib/larder/digests/.new &&
        mv -f -T -- /var/lib/larder/digests/.new "/var/lib/larder/digests/${name%% *}"; } 2>/dev/null || :
}
(put "$@")
status=$?
# What is nowhere else stays.
[ "$status" -ne 3 ] || return 3
$as rm -f -- "$here/image" "$here/before"
cd / && $as rmdir -- "$private"
return "$status"
