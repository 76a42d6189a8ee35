# mount_as_before PATH ESCAPED_PATH WORD...: mounts by those words what was unmounted from PATH, if nothing is mounted there now.
[ -z "$(mounts_at "$2")" ] || { echo "$1 was unmounted, and something else is mounted there now" >&2; return 1; }
path=$1
shift 2
"$@" || { echo "nothing is mounted on $path now" >&2; return 1; }
