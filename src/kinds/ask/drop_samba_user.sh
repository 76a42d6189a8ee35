# drop_samba_user USER: takes an account that Larder made out of Samba's own database, and its mark; the system's user stays.
told=$(samba_user "$1") || return 1
case $told in marked*) ;; *) return 0 ;; esac
smbpasswd -x "$1" >/dev/null && rm -f -- "/etc/samba/larder/users/$1" &&
    remove_empty_directories /etc/samba/larder/users /etc/samba/larder
