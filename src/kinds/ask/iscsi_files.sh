# iscsi_files IQN PORT ADDRESS: the files with the records of a portal, one a line: older programs and those that were not told the
# group of the portal keep one file, others a directory with a file for each interface.
set +f
for root in /etc/iscsi/nodes /var/lib/iscsi/nodes; do
    [ -e "$root" ] || continue
    # Of a directory that cannot be read nothing is known.
    [ -r "$root" ] && [ -x "$root" ] || { printf '%s cannot be read\n' "$root" >&2; return 1; }
    [ "$root" = /etc/iscsi/nodes ] || [ ! "$root" -ef /etc/iscsi/nodes ] || continue
    for file in "$root/$1/$3,$2" "$root/$1/$3,$2",*/*; do
        [ ! -f "$file" ] || printf '%s\n' "$file"
    done
done
