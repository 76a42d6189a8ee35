# is_still FILE TEXT: whether a file holds exactly this text; with an empty TEXT, whether there is none.
if [ -z "$2" ]; then
    [ ! -e "$1" ] && [ ! -h "$1" ] || { echo "$1 exists; the plan was made without it" >&2; return 1; }
    return 0
fi
held=$(cat -- "$1" && echo x) || return 1
[ "${held%x}" = "$2" ] || { echo "$1 has changed since the plan was made; it was left alone" >&2; return 1; }
