# add_system_user NAME: a user of the system without a home, who cannot log in, with a group of its own; one that is there is left as
# it is. A group of that name that is there already may open doors, so no user is put into it.
! getent -- passwd "$1" >/dev/null || return 0
! getent -- group "$1" >/dev/null || { echo "there is a group $1 already, and no user of that name" >&2; return 1; }
shell=/usr/sbin/nologin
[ -x "$shell" ] || shell=/sbin/nologin
useradd --system --no-create-home --home-dir /nonexistent --shell "$shell" --user-group -- "$1"
