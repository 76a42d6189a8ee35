# add_samba_user USER: gives the user of Samba the password that stands twice on standard input. One that is made for it is marked as
# made here, by its number; one that cannot be marked is not made.
state=$(samba_account "$1") || return 1
set_samba_password "$1" || return 1
[ "$state" = absent ] || return 0
directory=/etc/samba/larder/users
number=$(samba_number "$1") && [ -n "$number" ] &&
    (umask 022 && mkdir -p -- "${directory%/*}" && umask 077 && mkdir -p -- "$directory" &&
        rm -f -- "$directory/$1" && printf '%s\n' "$number" >"$directory/$1" && sync -- "$directory/$1" "$directory") || {
    smbpasswd -x "$1" >/dev/null 2>&1
    echo "the user $1 of Samba could not be marked as made here" >&2
    return 1
}
