# mount_units: the files that define mount units of systemd, what is added to them and what enables them, one fact a line; then
# which of them systemd has read anew since they changed. The text of a file is whole if its size says so.
[ -d /run/systemd/system ] || { echo end; return 0; }
set +f
show_file() { # WORD PATH
    printf '%s %s\n' "$1" "$2"
    if [ -h "$2" ]; then printf 'link %s\n' "$(readlink -- "$2")"; fi
    [ -f "$2" ] || return 0
    printf 'size %s\n' "$(stat -L -c %s -- "$2")"
    while IFS= read -r line || [ -n "$line" ]; do printf 'text %s\n' "$line"; done <"$2"
}
for directory in /etc/systemd/system.control /run/systemd/system.control /etc/systemd/system /run/systemd/system \
    /run/systemd/generator /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    [ -d "$directory" ] || continue
    [ "$directory" != /lib/systemd/system ] || [ ! -h /lib ] || continue
    for file in "$directory"/*.mount; do
        [ ! -e "$file" ] && [ ! -h "$file" ] || show_file unit "$file" || return 1
    done
    for file in "$directory"/*.mount.d/*.conf "$directory"/mount.d/*.conf; do
        [ ! -e "$file" ] && [ ! -h "$file" ] || show_file drop-in "$file" || return 1
    done
    case $directory in /run/systemd/generator) continue ;; esac
    for file in "$directory"/*.wants/*.mount "$directory"/*.requires/*.mount; do
        [ ! -e "$file" ] && [ ! -h "$file" ] || printf 'enabled %s\n' "$file"
    done
done
if loaded=$(systemctl show --no-pager --property=Id --property=NeedDaemonReload -- '*.mount' 2>/dev/null); then
    printf '%s\n\n' "$loaded" | while IFS= read -r line; do printf 'loaded %s\n' "$line"; done
fi
echo end
