# samba_login DIRECTORY SERVER SHARE USER PASSWORD [DOMAIN]: logs in and lists the share; says ok, or `failed` and what Samba said. The
# password goes through a pipe: only this shell and smbclient see it. DIRECTORY is what the share shows here, or where it is mounted.
command -v smbclient >/dev/null && command -v timeout >/dev/null || { echo 'smbclient: not found' >&2; return 127; }
told=$(printf '%s\n' "$5" | PASSWD_FD=0 timeout -s KILL 15 smbclient -t 10 ${6:+-W "$6"} -U "$4" "//$2/$3" -c ls 2>&1)
status=$?
[ "$status" -ne 0 ] || { echo ok; return 0; }
printf '%s\n' "$told" | {
    found=
    while IFS= read -r line; do
        case $line in *NT_STATUS_*) printf 'failed %s\n' "$line"; found=1 ;; esac
    done
    [ -n "$found" ]
} && return 0
echo "smbclient ended with status $status and no word about it" >&2
return 1
