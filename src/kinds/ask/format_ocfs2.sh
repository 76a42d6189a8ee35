# format_ocfs2 LABEL UUID SLOTS CLUSTER DEVICE: formats a blank device for a cluster. Nothing is told to overwrite, and no question
# can be answered. Only this device is written out: others may be silent.
for tool in blkid wipefs; do command -v "$tool" >/dev/null || { echo "$tool is missing" >&2; return 1; }; done
found=$(blkid -p -o export -- "$5" 2>&1)
[ $? -eq 2 ] && [ -z "$found" ] && found=$(wipefs --noheadings --output TYPE -- "$5" 2>&1) && [ -z "$found" ] || {
    printf 'not-blank: %s holds something: %s. Plan again.\n' "$5" "$found" >&2
    return 1
}
mkfs.ocfs2 -q -T vmstore -N "$3" -L "$1" -U "$2" --cluster-stack=o2cb --cluster-name="$4" -- "$5" </dev/null && sync -- "$5"
