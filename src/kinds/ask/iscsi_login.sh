# iscsi_login IQN PORT ADDRESS [ADDRESS]: logs in to a portal with the settings on standard input (see iscsi_set), and waits for the
# disks. A record that it had to make goes again if that fails.
settings=$(cat) || return 1
files=$(iscsi_files "$1" "$2" "$3") || return 1
portal=$3:$2
case $3 in *:*) portal=[$3]:$2 ;; esac
made=
# A login that nobody answers, or that names what is not there, is tried for two minutes. What the portal tells is kept nowhere; one
# that wants a login for that too is asked no further.
said=$(timeout -k 5 30 iscsiadm -m discovery -t st -p "$portal" -o nonpersistent 2>&1)
case $? in
0)
    case "$said
" in
    *" $1
"*) ;;
    *)
        printf '%s does not show this host a target %s. It shows: %s. Compare the name, and whether the storage knows %s.\n' "$portal" \
            "$1" "$(printf '%s\n' "$said" | while read -r at name; do printf '%s ' "$name"; done)" \
            "$(cat /etc/iscsi/initiatorname.iscsi 2>/dev/null)" >&2
        return 1
        ;;
    esac
    ;;
4 | 8 | 11 | 124 | 137)
    printf '%s does not answer: %s. Is the address right, and is the network of the storage up?\n' "$portal" \
        "$(printf '%s\n' "$said" | tail -n 1)" >&2
    return 1
    ;;
esac
if [ -z "$files" ]; then
    # Not from a discovery: that would make records of every portal that the target tells, and may set the existing ones back.
    said=$(timeout -k 5 60 iscsiadm -m node -o new -T "$1" -p "$portal" 2>&1) ||
        { printf 'no record could be made of %s: %s\n' "$portal" "$said" >&2; return 1; }
    made=yes
fi
if ! printf '%s\n' "$settings" | iscsi_set "$1" "$2" "$3"; then
    [ -z "$made" ] || iscsi_forget "$1" "$2" "$3"
    return 1
fi
# iscsid gives up by itself after two minutes where nobody answers.
said=$(timeout -k 5 240 iscsiadm -m node -T "$1" -p "$portal" --login 2>&1)
status=$?
# 15: there is a session already, which counts if it is one with this portal.
if [ "$status" -eq 0 ] || { [ "$status" -eq 15 ] && [ -n "$(iscsi_sids "$@")" ]; }; then
    ! command -v udevadm >/dev/null || udevadm settle --timeout=30 || :
    return 0
fi
case $status in
4 | 8 | 11 | 124 | 137) why="$portal does not answer. Is the address right, and is the network of the storage up?" ;;
12 | 18 | 20) why='iscsid does not answer. See why with `systemctl status iscsid` and `journalctl -u iscsid`.' ;;
19) why="$portal has no target $1, or does not let this initiator see it. Compare the name with that on the storage." ;;
24) why="$portal refuses the login. Compare user and password, and whether the storage knows $(cat /etc/iscsi/initiatorname.iscsi 2>/dev/null)." ;;
*) why="the login to $portal failed." ;;
esac
[ -z "$made" ] || iscsi_forget "$1" "$2" "$3"
printf '%s iscsiadm said: %s (%s)\n' "$why" "$(printf '%s\n' "$said" | tail -n 2 | tr '\n' ' ')" "$status" >&2
return 1
