# open_files_below PATTERN...: who has a file, directory, program or mapping open at or below the paths.
[ $# -gt 0 ] || return 0
command -v find >/dev/null || { echo "find: not found" >&2; return 127; }
n=$#
while [ "$n" -gt 0 ]; do
    set -- "$@" -o -lname "$1" -o -lname "$1/*" -o -lname "$1 (deleted)"
    shift
    n=$((n - 1))
done
shift # the first -o
set +f
# Processes come and go while they are looked at; find's complaints about those are not ours.
uses=$(find /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/exe /proc/[0-9]*/fd /proc/[0-9]*/map_files -maxdepth 1 -type l \( "$@" \) -printf 'file %h %l\n' 2>/dev/null)
set -f
[ -n "$uses" ] || return 0
seen=' '
printf '%s\n' "$uses" | sort -u | while read -r word where path; do
    pid=${where#/proc/}
    pid=${pid%%/*}
    printf 'file %s %s\n' "$pid" "$path"
    case $seen in *" $pid "*) continue ;; esac
    seen="$seen$pid "
    read -r comm <"/proc/$pid/comm" && printf 'name %s %s\n' "$pid" "$comm"
    tr '\000' '\n' <"/proc/$pid/cmdline" | while read -r word; do
        case $word in guest=*) word=${word#guest=}; printf 'guest %s %s\n' "$pid" "${word%%,*}" ;; esac
    done
done 2>/dev/null
return 0
