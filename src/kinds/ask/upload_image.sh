# upload_image PATH FORMAT BYTES OWNER MODE SOURCE_BYTES SHA256: what stands on standard input becomes the image PATH, if it is so many bytes
# with that digest. It is written where nobody else can reach it, and linked into place whole.
place_for_image "${1%/*}" || return 1
(
    umask 077
    $as dd of="$here/image" bs=65536 iflag=fullblock oflag=nofollow conv=excl,sparse,fsync status=none || exit 1
    [ "$($as stat -c %s -- "$here/image")" = "$6" ] || { echo "the file came cut short; nothing was put into place" >&2; exit 1; }
    # What is compared is what the disk or the server gives back, not what this host remembers of writing it.
    $as dd if="$here/image" iflag=nocache count=0 status=none 2>/dev/null || :
    digest=$($as sha256sum -- "$here/image") || exit 1
    digest=${digest#\\}
    [ "${digest%% *}" = "$7" ] || { echo "what came is another file than the plan was made for; nothing was put into place" >&2; exit 1; }
    finish_image "$1" "$2" "$3" "$4" "$5"
)
status=$?
$as rm -f -- "$here/image"
cd / && $as rmdir -- "$private"
return "$status"
