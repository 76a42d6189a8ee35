# o2cb_facts PROGRAM...: what a host has of OCFS2 and of its cluster stack, one fact a line, then `end`. Nothing is loaded or started.
for program in "$@"; do
    ! command -v "$program" >/dev/null || printf 'program %s\n' "$program"
done
for module in ocfs2 ocfs2_stack_o2cb; do
    if [ -d "/sys/module/$module" ] || modinfo "$module" >/dev/null 2>&1; then printf 'module %s\n' "$module"; fi
done
# The file that the service reads, in the order in which it looks.
if [ -f /etc/sysconfig/o2cb ]; then
    echo 'settings /etc/sysconfig/o2cb'
elif [ ! -f /etc/default/o2cb ] && [ -d /etc/sysconfig ]; then
    echo 'settings /etc/sysconfig/o2cb'
else
    echo 'settings /etc/default/o2cb'
fi
if [ -d /run/systemd/system ]; then
    printf 'unit %s\n' "$(systemctl show --property=LoadState --value o2cb.service 2>/dev/null)"
    printf 'enabled %s\n' "$(systemctl is-enabled o2cb.service 2>/dev/null)"
fi
for name in panic_on_oops panic; do printf 'sysctl %s %s\n' "$name" "$(cat "/proc/sys/kernel/$name")"; done
ip -4 -o address show 2>/dev/null | while read -r _ _ _ address _; do printf 'address %s\n' "${address%%/*}"; done
set +f
for directory in /sys/kernel/config/cluster/*/; do
    [ -d "$directory" ] || continue
    cluster=${directory%/}
    cluster=${cluster##*/}
    printf 'cluster %s\n' "$cluster"
    for value in idle_timeout_ms keepalive_delay_ms reconnect_delay_ms heartbeat/dead_threshold heartbeat/mode; do
        [ ! -r "$directory$value" ] || printf 'value %s %s %s\n' "$cluster" "$value" "$(cat "$directory$value")"
    done
    for node in "$directory"node/*/; do
        [ -d "$node" ] || continue
        name=${node%/}
        printf 'node %s %s %s %s %s %s\n' "$cluster" "${name##*/}" "$(cat "${node}num")" "$(cat "${node}ipv4_address")" \
            "$(cat "${node}ipv4_port")" "$(cat "${node}local")"
    done
    for region in "$directory"heartbeat/*/; do
        [ ! -d "$region" ] || { region=${region%/}; printf 'region %s %s\n' "$cluster" "${region##*/}"; }
    done
done
# How long what lies below waits for storage that is silent.
for file in /sys/class/iscsi_session/*/recovery_tmo; do
    [ ! -r "$file" ] || printf 'patience iscsi %s\n' "$(cat "$file")"
done
for file in /sys/class/fc_remote_ports/*/dev_loss_tmo; do
    [ ! -r "$file" ] || printf 'patience fc %s\n' "$(cat "$file")"
done
set -f
if command -v dmsetup >/dev/null; then
    dmsetup table --target multipath 2>/dev/null | while read -r map rest; do
        case $rest in *queue_if_no_path*) printf 'queues %s\n' "${map%:}" ;; esac
    done
fi
echo end
