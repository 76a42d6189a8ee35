# samba_without FILE: the configuration of Samba, less the lines that include FILE.
[ -r /etc/samba/smb.conf ] || { echo "/etc/samba/smb.conf cannot be read" >&2; return 1; }
while IFS= read -r line || [ -n "$line" ]; do
    case $line in *"$1"*) ;; *) printf '%s\n' "$line" ;; esac
done </etc/samba/smb.conf
