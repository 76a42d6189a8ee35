# cifs_login ESCAPED_DIRECTORY DIRECTORY SERVER SHARE USER PASSWORD [DOMAIN]: what comes of a login, as samba_login says it; nothing where
# something is mounted on the directory, and so let in.
[ -z "$(mounts_at "$1")" ] || return 0
shift
samba_login "$@"
