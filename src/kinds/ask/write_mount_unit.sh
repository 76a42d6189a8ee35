# write_mount_unit NAME TARGET OLD: what stands on standard input becomes the unit NAME in /etc/systemd/system, where OLD stands
# now (nothing, if OLD is empty), and TARGET wants it at boot. Nothing is started or stopped by it.
name=$1 target=$2 old=$3
unit=/etc/systemd/system/$name
is_still "$unit" "$old" || return 1
[ ! -d "$unit" ] || { echo "$unit is a directory" >&2; return 1; }
draft=$unit.larder-new
rm -f -- "$draft" && cat >"$draft" && chmod 0644 -- "$draft" && sync -- "$draft" && mv -f -T -- "$draft" "$unit" || {
    rm -f -- "$draft"
    echo "could not write $unit" >&2
    return 1
}
wants=/etc/systemd/system/$target.wants
mkdir -p -- "$wants" && ln -s -f -n -- "$unit" "$wants/$name" && sync -- "$wants" "${unit%/*}" || return 1
systemctl daemon-reload
