# mounts_everywhere: the mounts in every mount namespace, lines `NUMBER SCOPE PID TARGET TYPE SOURCE OPTIONS`, where SCOPE is `here`,
# `follows` (unmounting elsewhere reaches it, if that is of one group with it) or `private`; then a line `end`.
set -f
own=$(readlink /proc/self/ns/mnt) || return 1
found=$(find /proc -mindepth 1 -maxdepth 3 \( -path '/proc/[0-9]*/ns/mnt' -printf '%l %h\n' -o -path '/proc/[0-9]*/ns' \
    -o -path '/proc/[0-9]*/*' -prune -o -path '/proc/[0-9]*' -o -prune \) 2>&1)
# As in open_files_below.
[ $? -le 1 ] && found=$(printf '%s\n' "$own /proc/self/ns" "$found" | sort -uV) ||
    { printf 'which mount namespaces there are is not known: %s\n' "$found" >&2; return 1; }
seen=' ' left=
while read -r space where rest; do
    case $space in
    'mnt:['*) ;;
    find:)
        case $rest in *"No such file or directory" | *"No such process") continue ;; esac
        printf 'find: %s %s\n' "$where" "$rest" >&2
        return 1
        ;;
    *) continue ;;
    esac
    case $seen in *" $space "*) continue ;; esac
    pid=${where#/proc/}
    pid=${pid%%/*}
    [ "$space" != "$own" ] || pid=self
    mounts=$(cat "/proc/$pid/mountinfo" 2>/dev/null) && [ -n "$mounts" ] &&
        [ "$(readlink "/proc/$pid/ns/mnt" 2>/dev/null)" = "$space" ] || { left="$left $space:of_process_$pid"; continue; }
    seen="$seen$space "
    while read -r line; do
        from=${line##* - }
        line=${line%" - $from"}
        set -- $line
        scope=private
        case " $line " in *" shared:"* | *" master:"*) scope=follows ;; esac
        [ "$pid" != self ] || scope=here
        # A namespace may be kept without a process.
        case "$from $4" in "nsfs "*" mnt:["*) left="$left $4:at_$5" ;; esac
        printf '%s %s %s %s %s\n' "$3" "$scope" "$pid" "$5" "$from"
    done <<MOUNTS
$mounts
MOUNTS
done <<FOUND
$found
FOUND
for space in $left; do
    case $seen in *" ${space%%]*}] "*) continue ;; esac
    printf 'what is mounted in a mount namespace is not known: %s\n' "$space" >&2
    return 1
done
echo end
