# set_samba_password USER: gives the user of Samba the password that stands twice on standard input, and makes the user if need be.
told=$(smbpasswd -s -a "$1" 2>&1) || { printf '%s\n' "$told" >&2; return 1; }
