# remove_mount_unit NAME OLD: takes the unit NAME, whose text is OLD, out of /etc/systemd/system, with what enables it. What is
# mounted stays mounted.
set +f
name=$1 old=$2
unit=/etc/systemd/system/$name
is_still "$unit" "$old" || return 1
rm -f -- "$unit" || return 1
for directory in /etc/systemd/system/*.wants /etc/systemd/system/*.requires; do
    [ ! -h "$directory/$name" ] || rm -f -- "$directory/$name" || return 1
done
sync -- "${unit%/*}" || return 1
systemctl daemon-reload
