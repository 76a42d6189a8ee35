# start_o2cb CLUSTER: brings a cluster online by the host's own service, if it is not. Nothing is ever stopped or restarted. The
# service says yes although it did nothing while it was switched off: then its own script is asked.
is_online() { o2cb cluster-status "$1" >/dev/null 2>&1; }
! is_online "$1" || return 0
said=$(systemctl start o2cb.service 2>&1)
is_online "$1" && return 0
for script in /etc/init.d/o2cb /sbin/o2cb.init; do
    [ -x "$script" ] || continue
    said="$said
$("$script" online "$1" 2>&1 </dev/null)"
    break
done
is_online "$1" && return 0
printf '%s\n' "$said" >&2
echo "the cluster $1 did not come online; 'journalctl -u o2cb' and dmesg may tell why" >&2
return 1
