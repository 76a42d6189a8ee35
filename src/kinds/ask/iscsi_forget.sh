# iscsi_forget IQN PORT ADDRESS: deletes the records of a portal, if there are any, and what a broken run left of one.
rm -f -- /etc/iscsi/.larder-new /var/lib/iscsi/.larder-new
files=$(iscsi_files "$1" "$2" "$3") || return 1
[ -n "$files" ] || return 0
portal=$3:$2
case $3 in *:*) portal=[$3]:$2 ;; esac
said=$(timeout -k 5 60 iscsiadm -m node -o delete -T "$1" -p "$portal" 2>&1) && return 0
printf 'the record of %s was not deleted: %s\n' "$portal" "$said" >&2
return 1
