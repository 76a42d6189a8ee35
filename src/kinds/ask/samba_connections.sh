# samba_connections SHARE: who is connected to the share, a line `PID MACHINE` each; then a line `end`, without which nothing is known.
listing=$(smbstatus -S 2>&1) || { printf '%s\n' "$listing" >&2; return 1; }
share=$(printf '%s' "$1" | tr 'A-Z' 'a-z')
printf '%s\n' "$listing" | tr 'A-Z' 'a-z' | while IFS= read -r line; do
    case $line in "$share "*) ;; *) continue ;; esac
    set -- ${line#"$share"}
    case ${1-} in '' | *[!0-9]*) continue ;; esac
    printf '%s %s\n' "$1" "${2-}"
done
echo end
