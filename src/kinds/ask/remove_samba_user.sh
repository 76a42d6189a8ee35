# remove_samba_user USER: takes an account that Larder made out of Samba's own database, unless a share may still need it.
told=$(samba_user "$1") || return 1
# An answer that was cut short names no share either.
case $told in
end | *"
end") ;;
*) echo "which shares need $1 is not known" >&2; return 1 ;;
esac
case $told in
outlived*) ;; # no share needs the mark of an account that is gone
*"
named "*) echo "a share still names $1"; return 0 ;;
esac
drop_samba_user "$1"
