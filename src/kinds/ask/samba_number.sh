# samba_number USER: the number (SID) of the account that Samba has of the user; nothing where it has none. An account that somebody
# makes anew has another.
if told=$(pdbedit -L -v -u "$1" 2>&1); then
    printf '%s\n' "$told" | sed -n 's/^User SID:[[:blank:]]*//p'
else
    case $told in *'Username not found!'*) ;; *) printf '%s\n' "$told" >&2; return 1 ;; esac
fi
