# mounts_at ESCAPED_PATH: what is mounted exactly there, bottom first, without the numbers that the kernel gives out anew.
while read -r id parent device root target options rest; do
    [ "$target" = "$1" ] || continue
    printf '%s %s %s %s\n' "$device" "$root" "$options" "${rest#*- }"
done </proc/self/mountinfo
