# open_files_below PATTERN...: who has a file, directory, program or mapping open at or below the paths, as lines `read PID PATH` and
# `write PID PATH`, with the name of the device in place of PID where a loop device has it; then a line `end`, without which nothing
# is known.
[ $# -gt 0 ] || { echo end; return 0; }
# What a loop device is made of is open in the kernel, in no process. A loop device that goes away meanwhile has nothing open.
(
    set +f
    for loop in /sys/block/loop*/loop; do
        { IFS= read -r path <"$loop/backing_file"; } 2>/dev/null || continue
        loop=${loop%/loop}
        { read -r word <"$loop/ro"; } 2>/dev/null || word=0
        case $word in 1) word=read ;; *) word=write ;; esac
        for pattern in "$@"; do
            case ${path% (deleted)} in
            $pattern | $pattern/*)
                printf '%s %s %s\n' "$word" "${loop##*/}" "$path"
                break
                ;;
            esac
        done
    done
)
n=$#
while [ "$n" -gt 0 ]; do
    set -- "$@" -o -lname "$1" -o -lname "$1/*" -o -lname "$1 (deleted)"
    shift
    n=$((n - 1))
done
shift # the first -o
# Of /proc only the links of processes are looked at; a glob of all of them could be too long for one command.
uses=$(find /proc -mindepth 1 -maxdepth 3 \( -path '/proc/*/*/*' -o -path '/proc/[0-9]*/fd' -o -path '/proc/[0-9]*/map_files' \
    -o -path '/proc/[0-9]*/*' -prune -o -path '/proc/[0-9]*' -o -prune \) -type l \( "$@" \) -printf '%m %h %l\n' 2>&1)
# 1 is what find says when a process went away meanwhile. Anything above means that it is missing or was killed.
[ $? -le 1 ] && uses=$(printf '%s\n' "$uses" | sort -u) || { printf 'who has files open is not known: %s\n' "$uses" >&2; return 1; }
seen=' '
printf '%s\n' "$uses" | {
    while read -r word where path; do
        case $word in
        # How a file was opened is how its link may be used (proc(5)); a directory or a program that runs is not written.
        777 | 0 | [145]00) word=read ;;
        [2367]00) word=write ;;
        find:)
            # Processes come and go while they are looked at. Any other complaint means that something was not seen.
            case $path in *"No such file or directory" | *"No such process") continue ;; esac
            printf 'find: %s %s\n' "$where" "$path" >&2
            exit 1
            ;;
        *) continue ;;
        esac
        pid=${where#/proc/}
        pid=${pid%%/*}
        printf '%s %s %s\n' "$word" "$pid" "$path"
        case $seen in *" $pid "*) continue ;; esac
        seen="$seen$pid "
        { read -r comm <"/proc/$pid/comm" && printf 'name %s %s\n' "$pid" "$comm"; } 2>/dev/null
        tr '\000' '\n' 2>/dev/null <"/proc/$pid/cmdline" | while read -r word; do
            case $word in guest=*) word=${word#guest=}; printf 'guest %s %s\n' "$pid" "${word%%,*}" ;; esac
        done
    done
    exit 0
} || return 1
echo end
