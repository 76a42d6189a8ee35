# try_samba_login DIRECTORY SHARE USER: logs in with the password on standard input, and lists the share.
IFS= read -r password || return 1
told=$(samba_login "$1" 127.0.0.1 "$2" "$3" "$password") || return 1
[ "$told" = ok ] || { printf '%s\n' "${told#failed }" >&2; return 1; }
