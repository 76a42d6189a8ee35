# iscsi_logout IQN PORT ADDRESS [ADDRESS]: ends the sessions with a portal, if nobody uses their disks, then deletes its records.
uses=$(iscsi_use "$@") || return 1
[ "$uses" = end ] || { printf 'its disks are in use: %s\n' "${uses%?end}" >&2; return 1; }
sids=$(iscsi_sids "$@") || return 1
for sid in $sids; do
    said=$(timeout -k 5 120 iscsiadm -m session -r "$sid" --logout 2>&1) ||
        { printf 'the session %s could not be ended: %s\n' "$sid" "$said" >&2; return 1; }
done
[ -z "$(iscsi_sids "$@")" ] || { echo 'the session is still there' >&2; return 1; }
iscsi_forget "$1" "$2" "$3"
