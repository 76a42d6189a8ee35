# remove_samba_user USER: takes the user out of Samba's own database; the system's stays.
state=$(samba_account "$1") || return 1
[ "$state" = present ] || return 0
smbpasswd -x "$1" >/dev/null
