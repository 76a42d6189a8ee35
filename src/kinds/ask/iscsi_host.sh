# iscsi_host: how a host is an initiator of iSCSI: lines `program NAME`, `name LINE` for each line of the file with its own name,
# `unit NAME=VALUE` for what systemd says of each unit, an empty value between two of them; then a line `end`.
for program in iscsiadm multipath; do
    ! command -v "$program" >/dev/null || printf 'program %s\n' "$program"
done
file=/etc/iscsi/initiatorname.iscsi
if [ -e "$file" ]; then
    text=$(cat -- "$file") || return 1
    printf '%s\n' "$text" | while IFS= read -r line; do printf 'name %s\n' "$line"; done
fi
if [ -d /run/systemd/system ]; then
    text=$(systemctl show -p Id -p LoadState -p UnitFileState -p ActiveState -- open-iscsi.service iscsi.service \
        iscsid.service iscsid.socket multipathd.service) || return 1
    printf '%s\n' "$text" | while IFS= read -r line; do printf 'unit %s\n' "$line"; done
fi
echo end
