# add_system_user NAME: a user of the system without a home, who cannot log in; one that is there is left as it is.
! getent -- passwd "$1" >/dev/null || return 0
shell=/usr/sbin/nologin
[ -x "$shell" ] || shell=/sbin/nologin
if getent -- group "$1" >/dev/null; then
    set -- "$1" --gid "$1"
else
    set -- "$1" --user-group
fi
name=$1
shift
useradd --system --no-create-home --home-dir /nonexistent --shell "$shell" "$@" -- "$name"
