# reach_o2cb_nodes [NODE ADDRESS PORT]...: whether the port of each other node takes a connection: without it a mount would hang for
# more than a minute.
failed=
while [ $# -ge 3 ]; do
    case $(o2cb_port "$2" "$3") in
    open | 'not tried') ;;
    silent) failed=1; echo "$1 at $2 port $3 does not answer from here: is a firewall between?" >&2 ;;
    *) failed=1; echo "$1 at $2 port $3 refuses connections from here: is the cluster online there, and no firewall between?" >&2 ;;
    esac
    shift 3
done
[ -z "$failed" ]
