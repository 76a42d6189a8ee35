# edit_samba NEW [OLD]...: the first of the OLD lines of /etc/samba/smb.conf becomes NEW, the others go; without OLD, NEW is appended; an
# empty NEW only removes; a dash removes, with the newline before it, a last line that was appended to a text that had none at its
# end. Every other byte stays. The write is atomic, and only what Samba's own reader takes is written; then Samba reads it.
new=$1
shift
chop=
[ "$new" != - ] || { new= chop=1; }
conf=$(readlink -e -- /etc/samba/smb.conf) || { echo "/etc/samba/smb.conf is not there" >&2; return 1; }
tr -d '\000' <"$conf" | cmp -s - "$conf" || { echo "$conf holds a NUL byte; it was left alone" >&2; return 1; }
draft=$conf.larder-new
rm -f -- "$draft" && cp --preserve=all -- "$conf" "$draft" || return 1
end='
'
counted=$(
    left=$# written= hit=
    while IFS= read -r line || { [ -n "$line" ] && end=; }; do # the last line may have no newline
        hit=
        for old in "$@"; do [ "$line" = "$old" ] && hit=1; done
        if [ -z "$hit" ]; then
            [ -z "$new" ] || [ "$line" != "$new" ] || left=-1000
            printf '%s%s' "$line" "$end" >&3 || exit 1
            continue
        fi
        left=$((left - 1))
        if [ -z "$written" ] && [ -n "$new" ]; then printf '%s\n' "$new" >&3 || exit 1; fi
        written=1
    done <"$conf"
    if [ -z "$written" ] && [ -n "$new" ]; then
        if [ -z "$end" ]; then printf '\n' >&3 || exit 1; fi
        printf '%s\n' "$new" >&3 || exit 1
    fi
    printf '%s %s' "$left" "$hit"
) 3>"$draft" || { rm -f -- "$draft"; echo "could not write $draft" >&2; return 1; }
if [ "${counted% *}" != 0 ]; then
    rm -f -- "$draft"
    echo "$conf has changed: a line that was to be replaced is missing or stands there twice, or the new one is there already" >&2
    return 1
fi
[ -z "$chop" ] || [ -z "${counted#* }" ] || truncate -s -1 -- "$draft" || { rm -f -- "$draft"; return 1; }
samba_accepts <"$draft" || { rm -f -- "$draft"; echo "testparm does not accept the new $conf; it was left alone" >&2; return 1; }
sync -- "$draft" && mv -f -- "$draft" "$conf" && sync -- "${conf%/*}" || { rm -f -- "$draft"; return 1; }
reload_samba
