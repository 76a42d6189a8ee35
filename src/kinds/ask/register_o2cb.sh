# register_o2cb CLUSTER: the kernel takes over what cluster.conf says of the nodes of a cluster that is online.
said=$(o2cb register-cluster "$1" 2>&1) || {
    printf '%s\n' "$said" >&2
    echo "the kernel did not take over the nodes of $1: now cluster.conf and the kernel differ, and the next plan says where" >&2
    return 1
}
