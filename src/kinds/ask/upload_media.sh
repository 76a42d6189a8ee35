# upload_media PATH BYTES SHA256 [INODE]: what stands on standard input becomes the file PATH, if it is so many bytes with that digest
# and is whole on the disk. It is written where nobody else can reach it, and linked into place, so that nothing that exists is
# overwritten; with INODE it takes the place of that very file.
place_for_image "${1%/*}" || return 1
if [ -n "$as" ]; then
    # Root cannot enter what the server gives to somebody else: what was left behind there is taken away here. No lock keeps other
    # hosts out, so what was written to within an hour, by the clock of the server, may be theirs.
    now=$($as stat -c %Y -- "$private") || now=0
    set +f
    for left in "${1%/*}"/.larder.????????; do
        [ "$left" != "$private" ] && [ -d "$left" ] && [ ! -h "$left" ] || continue
        last=$($as stat -c %Y -- "$left/image" 2>/dev/null || $as stat -c %Y -- "$left" 2>/dev/null) || continue
        [ "$((now - last))" -gt 3600 ] || continue
        $as rm -f -- "$left/image" && $as rmdir -- "$left"
    done
    set -f
fi
put() {
    umask 077
    $as dd of="$here/image" bs=1048576 iflag=fullblock conv=fsync status=none || return 1
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
    if [ -z "${4-}" ]; then
        $as ln -T -- "$here/image" "$1" || return 1
    else
        [ "$(stat -c '%i %F' -- "$1")" = "$4 regular file" ] || { echo "$1 is no longer the file that was seen" >&2; return 1; }
        $as mv -f -T -- "$here/image" "$1" || return 1
    fi
    $as rm -f -- "$here/image"
    # Some kernels cannot do that for a directory of a server; the file itself is on its disk.
    $as sync -- "${1%/*}" || [ -n "$remote" ] || return 1
    # Only a file that nobody but root can change keeps its digest: what a server says of times is not believed.
    [ -z "$remote" ] || return 0
    facts=$(stat -c '%f %d %i %s %.Y %.Z' -- "$1") || return 0
    [ "$(stat -c '%d %i %s %.Y' -- "$1")" = "$whole" ] || { echo "$1 was changed at once" >&2; return 1; }
    name=$(printf '%s' "$1" | sha256sum) || return 0
    (umask 022 && mkdir -p -- /var/lib/larder) || return 0
    { mkdir -p -m 0700 -- /var/lib/larder/digests && printf '%s\n%s\n' "$3" "$facts" >/var/lib/larder/digests/.new &&
        mv -f -T -- /var/lib/larder/digests/.new "/var/lib/larder/digests/${name%% *}"; } 2>/dev/null || :
}
(put "$@")
status=$?
$as rm -f -- "$here/image"
cd / && $as rmdir -- "$private"
return "$status"
