# unregister_o2cb CLUSTER: the kernel forgets a cluster of which nothing is mounted.
[ -d "/sys/kernel/config/cluster/$1" ] || return 0
[ "$(o2cb_regions "$1")" = end ] || { echo "something of $1 is still mounted" >&2; return 1; }
o2cb unregister-cluster "$1" </dev/null
