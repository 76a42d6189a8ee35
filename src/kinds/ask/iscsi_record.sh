# iscsi_record IQN PORT ADDRESS: what the records of a portal say, but no password: lines `record MODE OWNER FILE` and below each its
# settings, `set NAME = VALUE`; then a line `end`.
files=$(iscsi_files "$@") || return 1
[ -z "$files" ] || printf '%s\n' "$files" | while IFS= read -r file; do
    facts=$(stat -c '%a %u' -- "$file") || exit 1
    printf 'record %s %s\n' "$facts" "$file"
    while IFS= read -r line; do
        case $line in
        "node.startup = "* | "node.session.auth.authmethod = "* | "node.session.auth.username = "* | \
            "node.session.auth.username_in = "*) printf 'set %s\n' "$line" ;;
        esac
    done <"$file" || exit 1
done || return 1
echo end
