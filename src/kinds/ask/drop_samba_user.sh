# drop_samba_user USER: takes an account that Larder made out of Samba's own database, and its mark, which goes too where somebody has
# removed the account or made it anew; the system's user stays.
told=$(samba_user "$1") || return 1
case $told in
marked*) smbpasswd -x "$1" >/dev/null || return 1 ;;
outlived*) ;;
*) return 0 ;;
esac
rm -f -- "/etc/samba/larder/users/$1" && remove_empty_directories /etc/samba/larder/users /etc/samba/larder
