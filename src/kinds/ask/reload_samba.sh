# reload_samba: lets Samba read its configuration anew and waits until it has; where it does not run it will read it when it starts.
smbcontrol -t 5 smbd ping >/dev/null 2>&1 || return 0
smbcontrol all reload-config && smbcontrol -t 10 smbd ping >/dev/null
