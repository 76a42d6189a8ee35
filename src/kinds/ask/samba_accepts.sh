# samba_accepts: whether Samba's own reader takes the configuration on standard input, and finds no unknown parameter in it that is not
# in the present one too. testparm(1) ends well where it has only complained, so what it said is looked at.
after=$(testparm -s /dev/stdin 2>&1 >/dev/null) || { printf '%s\n' "$after" >&2; return 1; }
before=$(testparm -s /etc/samba/smb.conf 2>&1 >/dev/null)
printf '%s\n' "$after" | while IFS= read -r line; do
    case $line in 'Unknown parameter'*) ;; *) continue ;; esac
    case $before in *"$line"*) ;; *) printf '%s\n' "$line" >&2; exit 1 ;; esac
done
