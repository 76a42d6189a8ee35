# system_facts PROGRAM...: the machine's description of itself, one fact a line.
printf 'hostname %s\n' "$(cat /proc/sys/kernel/hostname)"
[ ! -r /etc/machine-id ] || printf 'machine-id %s\n' "$(cat /etc/machine-id)"
printf 'kernel %s\n' "$(cat /proc/sys/kernel/osrelease)"
printf 'architecture %s\n' "$(uname -m)"
while read -r line; do printf 'os %s\n' "$line"; done </etc/os-release
while read -r word value rest; do
    case $word in Uid:) printf 'uid %s\n' "${rest%%[!0-9]*}" ;; CapEff:) printf 'capabilities %s\n' "$value" ;; esac
done </proc/self/status
for program in "$@"; do
    ! command -v "$program" >/dev/null || printf 'program %s\n' "$program"
done
while IFS= read -r line; do printf 'filesystem %s\n' "$line"; done </proc/filesystems
for module in nfs cifs; do ! modinfo "$module" >/dev/null 2>&1 || printf 'filesystem %s\n' "$module"; done
[ ! -d /run/systemd/system ] || echo systemd
while read -r line; do printf 'passwd %s\n' "$line"; done </etc/passwd
while read -r line; do printf 'group %s\n' "$line"; done </etc/group
users='libvirt-qemu qemu'
if [ -r /etc/libvirt/qemu.conf ]; then
    while read -r word equals value; do
        case $word in
        user | group) [ "$equals" != = ] || printf 'qemu-conf %s = %s\n' "$word" "$value" ;;
        esac
        if [ "$word $equals" = 'user =' ]; then
            value=${value#\"}; value=${value%\"}
            users=${value#+}
        fi
    done </etc/libvirt/qemu.conf
fi
for user in $users; do
    number=$(id -u -- "$user" 2>/dev/null) || continue
    printf 'qemu-id %s %s %s %s\n' "$user" "$number" "$(id -g -- "$user")" "$(id -G -- "$user")"
done
return 0
