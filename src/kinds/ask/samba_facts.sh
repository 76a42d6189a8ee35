# samba_facts PROGRAM...: which of the programs there are, and how the file server stands: lines `program NAME`, `unit NAME LOADED
# ENABLED ACTIVE` for each unit that systemd knows, else `running yes` or `running no`; then a line `end`.
for program in "$@"; do
    ! command -v "$program" >/dev/null || printf 'program %s\n' "$program"
done
if [ -d /run/systemd/system ]; then
    for unit in smbd smb; do
        states=$(systemctl show -p LoadState -p UnitFileState -p ActiveState "$unit.service") || return 1
        loaded=- enabled=- active=-
        while IFS== read -r name value; do
            case $name in
            LoadState) loaded=${value:--} ;;
            UnitFileState) enabled=${value:--} ;;
            ActiveState) active=${value:--} ;;
            esac
        done <<STATES
$states
STATES
        [ "$loaded" = not-found ] || printf 'unit %s %s %s %s\n' "$unit" "$loaded" "$enabled" "$active"
    done
elif command -v smbcontrol >/dev/null; then
    if smbcontrol -t 5 smbd ping >/dev/null 2>&1; then echo 'running yes'; else echo 'running no'; fi
fi
echo end
