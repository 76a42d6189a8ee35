# sweep_private DIRECTORY: takes away what `place_for_image` left behind below a directory, but for `private`. On a file system of this
# host alone its lock keeps out any other run. Elsewhere no lock keeps other hosts out, so what was written to within an hour, by the
# clock of the server, may be theirs. Only `image` and `before` are removed, out of a directory that has nothing else and has its name.
own=
! keeps_times "$1" || own=yes
case $remote in cifs | smb*) shown=told ;; *) shown= ;; esac
now=$($as stat -c %Y -- "$private") || return 0
set +f
for left in "$1"/.larder.????????; do
    [ "$left" != "$private" ] && [ -d "$left" ] && [ ! -h "$left" ] || continue
    # What follows is constant; with `as` it has no more rights than a guest.
    $as sh -c '
        cd -P -- "$1" 2>/dev/null || exit 0
        case $(pwd -P) in */"${1##*/}") ;; *) exit 0 ;; esac
        [ "$(stat -c %u .)" = "$(id -u)" ] || exit 0
        case $3-$(stat -c %a .) in told-* | -700 | -2700 | -711 | -2711) ;; *) exit 0 ;; esac
        [ -z "$(find . -mindepth 1 \( ! -path ./image ! -path ./before -o -type d \) -print -quit)" ] || exit 0
        if [ -z "$2" ]; then
            # The directory is as old as the link in it, which may be to an old image.
            for last in . ./image; do
                [ -e "$last" ] || continue
                last=$(stat -c %Y "$last") && [ "$(($4 - last))" -gt 3600 ] || exit 0
            done
        fi
        # What a medium was before it was to be replaced, and is nowhere else.
        if [ -e ./image ] && [ -e ./before ] && [ "$(stat -c %h ./before)" = 1 ]; then exit 0; fi
        rm -f ./image ./before && cd / && rmdir -- "$1"
    ' sh "$left" "$own" "$shown" "$now"
done
set -f
