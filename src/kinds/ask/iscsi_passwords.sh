# iscsi_passwords IQN PORT ADDRESS PASSWORD PASSWORD_IN: whether each record of a portal holds these passwords (empty: none): lines
# `same FILE` and `differ FILE`; then a line `end`. Only this shell sees either.
files=$(iscsi_files "$1" "$2" "$3") || return 1
[ -z "$files" ] || printf '%s\n' "$files" | while IFS= read -r file; do
    own= peer=
    while IFS= read -r line; do
        case $line in
        "node.session.auth.password = "*) own=${line#* = } ;;
        "node.session.auth.password_in = "*) peer=${line#* = } ;;
        esac
    done <"$file" || exit 1
    word=differ
    [ "$own" != "$4" ] || [ "$peer" != "$5" ] || word=same
    printf '%s %s\n' "$word" "$file"
done || return 1
echo end
