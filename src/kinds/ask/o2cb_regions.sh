# o2cb_regions CLUSTER: the heartbeat regions of a cluster, which are the file systems that are mounted of it; then `end`.
set +f
for region in "/sys/kernel/config/cluster/$1/heartbeat"/*/; do
    [ ! -d "$region" ] || { region=${region%/}; printf 'region %s\n' "${region##*/}"; }
done
set -f
echo end
