# samba_account USER: whether Samba's own database has the user; says present or absent.
if told=$(pdbedit -L -u "$1" 2>&1); then
    echo present
else
    case $told in *'Username not found!'*) echo absent ;; *) printf '%s\n' "$told" >&2; return 1 ;; esac
fi
