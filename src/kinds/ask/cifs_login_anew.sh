# cifs_login_anew ESCAPED_DIRECTORY DIRECTORY SERVER SHARE USER PASSWORD [DOMAIN]: what comes of a login, as samba_login says it, where what
# is mounted on the directory answers with an error; nothing elsewhere. Nobody logs in where it is silent.
fails=
while read -r status target said; do
    [ "$target" = "$1" ] || continue
    case $status in 0 | 124 | 137) return 0 ;; *) fails=$said ;; esac
done <<EOF
$larder_reach
EOF
[ -n "$fails" ] || return 0
shift
samba_login "$@"
