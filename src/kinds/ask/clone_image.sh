# clone_image PATH FORMAT BYTES OWNER MODE ORIGIN REFLINK: makes the image PATH as a copy of ORIGIN, sharing its blocks as REFLINK says
# (auto, always, never: cp(1)). ORIGIN must stay as it is meanwhile. Linked into place whole.
[ -f "$6" ] && [ ! -h "$6" ] || { echo "$6 is not there" >&2; return 1; }
place_for_image "${1%/*}" || return 1
(
    umask 077
    origin=$6
    if [ -z "$as" ]; then
        # Guests may exchange what their directory holds: root reads the very file that stands there, and follows no link of theirs.
        exec 9<"$6" || exit 1
        origin=/proc/self/fd/9
        [ "$(stat -L -c '%d %i %F' -- /proc/self/fd/9)" = "$(stat -c '%d %i %F' -- "$6")" ] || { echo "$6 was exchanged" >&2; exit 1; }
    fi
    facts=$(stat -L -c '%d %i %s %.Y %.Z' -- "$origin") || exit 1
    # The other end waits as long as it hears something. What sleeps on holds nothing open.
    while sleep 5 >/dev/null 2>&1 9<&-; do
        blocks=$($as stat -c %b -- "$here/image" 2>/dev/null) || blocks=0
        larder_progress "$((blocks * 512))" "$(stat -L -c %s -- "$origin")"
    done &
    ticker=$!
    # Whatever has that name is taken away, not written through.
    $as cp -T --remove-destination --reflink="$7" --sparse=auto -- "$origin" "$here/image"
    status=$?
    kill "$ticker"
    wait "$ticker" 2>/dev/null
    [ "$status" -eq 0 ] || exit 1
    [ "$(stat -L -c '%d %i %s %.Y %.Z' -- "$origin")" = "$facts" ] || { echo "$6 changed while it was copied; nothing was put into place" >&2; exit 1; }
    finish_image "$1" "$2" "$3" "$4" "$5"
)
status=$?
$as rm -f -- "$here/image"
cd / && $as rmdir -- "$private"
return "$status"
