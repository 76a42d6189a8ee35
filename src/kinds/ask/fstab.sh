# edit_fstab NEW [OLD]...: the first of the OLD lines of /etc/fstab becomes NEW, the others go; without OLD, NEW is appended;
# an empty NEW only removes; a dash removes, with the newline before it, a last line that was appended to a text that had none
# at its end. Every other byte stays. The write is atomic, after `findmnt --verify` has read the new line.
new=$1
shift
chop=
[ "$new" != - ] || { new= chop=1; }
read -r _ target _ <<LINE
$new
LINE
same_target() { # a line that stays must not mount something at the path of the new one
    [ -n "$new" ] || return 1
    read -r first second _ <<LINE
$1
LINE
    case $first in '#'*) return 1 ;; esac
    [ "${second%/}" = "${target%/}" ]
}
table=/etc/fstab
if [ -e "$table" ] || [ -h "$table" ]; then
    table=$(readlink -e -- /etc/fstab) || { echo "/etc/fstab is a broken link" >&2; return 1; }
    tr -d '\000' <"$table" | cmp -s - "$table" || { echo "/etc/fstab holds a NUL byte; it was left alone" >&2; return 1; }
else
    set -- # nothing to replace in a file that is not there
    : >"$table" || return 1
fi
draft=$table.larder-new
rm -f -- "$draft" && cp --preserve=all -- "$table" "$draft" || return 1
end='
'
was=$(sha256sum <"$table") || return 1
# The redirection stands within: bash would open it only after what is in the brackets has run.
counted=$( {
    left=$# written= hit=
    while IFS= read -r line || { [ -n "$line" ] && end=; }; do # the last line may have no newline
        hit=
        for old in "$@"; do [ "$line" = "$old" ] && hit=1; done
        if [ -z "$hit" ]; then
            ! same_target "$line" || left=-1000
            printf '%s%s' "$line" "$end" >&3 || exit 1
            continue
        fi
        left=$((left - 1))
        if [ -z "$written" ] && [ -n "$new" ]; then printf '%s\n' "$new" >&3 || exit 1; fi
        written=1
    done <"$table"
    if [ -z "$written" ] && [ -n "$new" ]; then
        if [ -z "$end" ]; then printf '\n' >&3 || exit 1; fi
        printf '%s\n' "$new" >&3 || exit 1
    fi
    printf '%s %s' "$left" "$hit"
} 3>"$draft" ) || { rm -f -- "$draft"; echo "could not write $draft" >&2; return 1; }
if [ "${counted% *}" != 0 ]; then
    rm -f -- "$draft"
    echo "/etc/fstab has changed: a line that was to be replaced is missing or stands there twice, or another line has the mount point" >&2
    return 1
fi
[ -z "$chop" ] || [ -z "${counted#* }" ] || truncate -s -1 -- "$draft" || { rm -f -- "$draft"; return 1; }
is_readable() { # whether mount(8) can read the line. It is judged alone: findmnt looks at the path and source of each line that it is shown,
    # and would wait for other mounts whose server is gone.
    printf '%s\n' "$1" >"$draft.line" || return 1
    report=$(timeout -s KILL 30 findmnt --verify --tab-file "$draft.line" 2>&1)
    case $? in 124 | 137) echo "findmnt --verify did not come back within 30 s for the new line of /etc/fstab" >&2; return 1 ;; esac
    # "2 parse errors, 1 error, 0 warnings", or "Success, ..."
    printf '%s\n' "$report" | {
        while read -r number words; do
            case $number,$words in
            "0,parse errors,"* | Success*) exit 0 ;;
            esac
        done
        exit 1
    } || { printf '%s\nfindmnt --verify does not accept the new line of /etc/fstab\n' "$report" >&2; return 1; }
}
if [ -n "$new" ]; then
    is_readable "$new"
    is_readable=$?
    rm -f -- "$draft.line"
    [ "$is_readable" -eq 0 ] || {
        rm -f -- "$draft"
        echo "/etc/fstab was left alone" >&2
        return 1
    }
fi
if [ "$(sha256sum <"$table")" != "$was" ]; then
    rm -f -- "$draft"
    echo "/etc/fstab has changed at this moment: somebody else has written to it" >&2
    return 1
fi
sync -- "$draft" && mv -f -- "$draft" "$table" && sync -- "${table%/*}" || { rm -f -- "$draft"; return 1; }
[ ! -d /run/systemd/system ] || systemctl daemon-reload
