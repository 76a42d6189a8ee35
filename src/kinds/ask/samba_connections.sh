# samba_connections SHARE: who is connected to the share, a line `PID MACHINE` each; then a line `end`, without which nothing is known.
# The PID of a cluster's node is NODE:PID. A line of the share that is in no known form is a failure, not nobody.
listing=$(smbstatus -S 2>&1) || { printf '%s\n' "$listing" >&2; return 1; }
share=$(printf '%s' "$1" | tr 'A-Z' 'a-z')
printf '%s\n' "$listing" | tr 'A-Z' 'a-z' | while IFS= read -r line; do
    case $line in "$share "* | "$share	"*) ;; *) continue ;; esac
    set -f
    set -- ${line#"$share"}
    case "${1-} ${2-}" in 'pid machine') continue ;; esac # the heading, for a share that is called like it
    case ${1-} in
    '' | *[!0-9:.]* | [!0-9]*)
        printf 'smbstatus says of the share what is not understood: %s\n' "$line" >&2
        exit 1
        ;;
    esac
    printf '%s %s\n' "$1" "${2-}"
done || return 1
echo end
