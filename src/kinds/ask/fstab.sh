# edit_fstab NEW [OLD]...: the first of the OLD lines of /etc/fstab becomes NEW, the others go; without OLD, NEW is appended;
# an empty NEW only removes; a dash removes, with the newline before it, a last line that was appended to a text that had none
# at its end. Every other byte stays. The write is atomic, after `findmnt --verify` has found no new parse error.
new=$1
chop=
[ "$new" != - ] || { new='' chop=1; }
shift
target=${new#* }
target=${target%% *}
same_target() { # a line that stays must not mount something at the path of the new one
    case $1 in \#*) return 1 ;; *[[:blank:]]"$target"[[:blank:]]* | *[[:blank:]]"$target"/[[:blank:]]*) [ -n "$new" ] ;; *) return 1 ;; esac
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
left=$#
written=
hit=
end='
'
if ! {
    while IFS= read -r line || { [ -n "$line" ] && end=; }; do # the last line may have no newline
        hit=
        for old in "$@"; do [ "$line" = "$old" ] && hit=1; done
        if [ -z "$hit" ]; then
            ! same_target "$line" || left=-1000
            printf '%s%s' "$line" "$end"
            continue
        fi
        left=$((left - 1))
        [ -z "$written" ] && [ -n "$new" ] && printf '%s\n' "$new"
        written=1
    done
    if [ -z "$written" ] && [ -n "$new" ]; then
        [ -n "$end" ] || printf '\n'
        printf '%s\n' "$new"
    fi
    :
} <"$table" >"$draft"; then
    rm -f -- "$draft"
    echo "could not write $draft" >&2
    return 1
fi
[ -z "$chop" ] || [ -z "$hit" ] || truncate -s -1 -- "$draft" || { rm -f -- "$draft"; return 1; }
if [ "$left" -ne 0 ]; then
    rm -f -- "$draft"
    echo "/etc/fstab has changed: a line that was to be replaced is missing or stands there twice, or another line has the mount point" >&2
    return 1
fi
parse_errors() {
    report=$(findmnt --verify --tab-file "$1" 2>&1)
    case $report in
    *" parse error"*) report=${report%% parse error*}; printf '%s' "${report##*[!0-9]}" ;;
    *Success*) printf 0 ;;
    *) printf '%s\n' "$report" >&2; return 1 ;;
    esac
}
before=$(parse_errors "$table") && after=$(parse_errors "$draft") && [ "$after" -le "$before" ] || {
    rm -f -- "$draft"
    echo "findmnt --verify does not accept the new /etc/fstab; it was left alone" >&2
    return 1
}
sync -- "$draft" && mv -f -- "$draft" "$table" && sync -- "${table%/*}" || { rm -f -- "$draft"; return 1; }
[ ! -d /run/systemd/system ] || systemctl daemon-reload
