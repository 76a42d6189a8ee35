# samba_share SHARE FILE [PARAMETER]...: what Samba's own reader finds of a share: a line `elsewhere` if it is there without FILE, a line
# `value PARAMETER=VALUE` for each parameter, if it is there at all; then a line `end`, without which nothing is known.
share=$1 file=$2
shift 2
rest=$(samba_without "$file") || return 1
if told=$(printf '%s\n' "$rest" | testparm -s --section-name="$share" --parameter-name=path /dev/stdin 2>&1); then
    echo elsewhere
else
    case $told in *'Unknown section'*) ;; *) printf '%s\n' "$told" >&2; return 1 ;; esac
fi
for parameter in "$@"; do
    if value=$(testparm -s --section-name="$share" --parameter-name="$parameter" /etc/samba/smb.conf 2>/dev/null); then
        printf 'value %s=%s\n' "$parameter" "$value"
        continue
    fi
    told=$(testparm -s --section-name="$share" --parameter-name="$parameter" /etc/samba/smb.conf 2>&1 >/dev/null)
    case $told in *'Unknown section'*) break ;; *) printf '%s\n' "$told" >&2; return 1 ;; esac
done
echo end
