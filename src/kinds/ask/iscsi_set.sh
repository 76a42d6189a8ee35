# iscsi_set IQN PORT ADDRESS: writes the settings on standard input, lines `NAME = VALUE`, into the records of a portal; one without a
# value goes. Each record is there whole, for root alone. What is set stands in no argument of a process.
settings=$(cat) || return 1
files=$(iscsi_files "$1" "$2" "$3") || return 1
[ -n "$files" ] || { echo 'the record is gone' >&2; return 1; }
umask 077
end='
'
printf '%s\n' "$files" | while IFS= read -r file; do
    # Beside the directory of the records: iscsiadm takes each file within for one.
    case $file in /etc/iscsi/*) draft=/etc/iscsi/.larder-new ;; *) draft=/var/lib/iscsi/.larder-new ;; esac
    rm -f -- "$draft"
    {
        while IFS= read -r line; do
            [ "$line" != '# END RECORD' ] || continue
            case $end$settings in *"$end${line%% = *} = "*) continue ;; esac
            printf '%s\n' "$line"
        done <"$file" || exit 1
        printf '%s\n' "$settings" | while IFS= read -r line; do
            [ -z "${line#* = }" ] || printf '%s\n' "$line"
        done
        echo '# END RECORD'
    } >"$draft" && sync -- "$draft" && mv -f -T -- "$draft" "$file" || { rm -f -- "$draft"; exit 1; }
done
