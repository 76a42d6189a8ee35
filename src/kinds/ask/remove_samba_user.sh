# remove_samba_user USER: takes the user out of Samba's own database, unless a share still names it; the system's stays.
state=$(samba_account "$1") || return 1
[ "$state" = present ] || return 0
shares=$(testparm -s 2>/dev/null) || { echo "testparm cannot read the configuration" >&2; return 1; }
printf '%s\n' "$shares" | while IFS= read -r line; do
    case $line in *'valid users ='*) ;; *) continue ;; esac
    for word in ${line#*=}; do
        [ "${word%,}" != "$1" ] || exit 3
    done
done
case $? in 0) smbpasswd -x "$1" >/dev/null ;; 3) echo "a share still names $1" ;; *) return 1 ;; esac
