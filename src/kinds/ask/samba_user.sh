# samba_user USER: a line `marked` if Larder made the account that Samba has of USER, a line `outlived` if the mark is of one that is
# gone, and a line `named SHARE` for each share that may need it; then a line `end`, without which nothing is known. In doubt a share
# needs it. Samba does not tell cases apart.
mark=/etc/samba/larder/users/$1
if [ -f "$mark" ]; then
    number=$(samba_number "$1") || return 1
    held=$(cat -- "$mark") || return 1
    if [ -n "$number" ] && [ "$held" = "$number" ]; then echo marked; else echo outlived; fi
fi
user=$(printf '%s' "$1" | tr 'A-Z' 'a-z')
groups=$(id -Gn -- "$1" 2>/dev/null | tr 'A-Z' 'a-z') # a user who is gone is in none
home=$(getent -- passwd "$1") && home=${home%:*} && home=${home##*:}
told=$(testparm -s 2>/dev/null) || { echo "testparm cannot read the configuration" >&2; return 1; }
printf '%s\n[]\n' "$told" | tr 'A-Z' 'a-z' | {
    share= is_named= is_open=
    set -f
    while IFS= read -r line; do
        case $line in
        '['*']')
            case $share in
            # These two have what printers need, and no users.
            '' | global | printers | 'print$') is_open= ;;
            # Who has no home is not served it.
            homes) [ -n "$home" ] && [ -d "$home" ] || is_named= is_open= ;;
            esac
            [ -z "$is_named$is_open" ] || printf 'named %s\n' "$share"
            share=${line#?}
            share=${share%?}
            is_named= is_open=1
            continue
            ;;
        esac
        name=${line%%=*}
        name=$(printf '%s' "$name" | tr -d '[:blank:]')
        case $name in
        validusers) is_open= ;;
        readlist | writelist | adminusers | forceuser) ;;
        *) continue ;;
        esac
        for word in $(printf '%s' "${line#*=}" | tr ',;"' '   '); do
            case $word in *%*) is_named=1 ;; esac # a variable may become any name
            bare=$word
            while :; do
                case $bare in [@+\&]*) bare=${bare#?} ;; *) break ;; esac
            done
            bare=${bare##*\\}
            [ "$bare" != "$user" ] || is_named=1
            [ "$bare" != "$word" ] || continue
            # A group: one that the user is in, or one that only others know.
            case " $groups " in *" $bare "*) is_named=1 ;; esac
            getent -- group "$bare" >/dev/null || is_named=1
        done
    done
    echo end
} || return 1
