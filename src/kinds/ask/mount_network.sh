# mount_network FSTYPE VERSION OPTIONS SOURCE TARGET: mounts storage of another machine. A server that refuses the connection may only be
# starting: it is tried again for half a minute. Says of what fails what that means, and which versions an NFS server has; nothing
# else than what is asked for is ever mounted.
options=$3
[ "$1" != nfs ] || options=$3,retry=0
tries=1
until said=$(mount -t "$1" -o "$options" -- "$4" "$5" 2>&1); do
    case $said in *"Connection refused"* | *"error(111)"*) ;; *) tries=10 ;; esac
    if [ "$tries" -ge 10 ]; then
        tries=0
        break
    fi
    tries=$((tries + 1))
    sleep 3
done
[ -z "$said" ] || printf '%s\n' "$said" >&2
[ "$tries" -eq 0 ] || return 0
case $1,$said in
*"Connection refused"* | *"error(111)"*) echo "the server of $4 refuses the connection: does it run, and serve $1?" >&2 ;;
nfs,*"rotocol not supported"* | nfs,*"requested NFS version"*)
    has=
    for version in 4.2 4.1 4.0 3; do
        # In a mount namespace of its own, which takes the mount away with it.
        [ "$version" = "$2" ] ||
            ! timeout -s KILL 10 unshare -m mount -t nfs -o "ro,nolock,retry=0,vers=$version" -- "$4" "$5" >/dev/null 2>&1 ||
            has="$has${has:+, }$version"
    done
    echo "the server does not serve $4 with NFS $2; ${has:+it does with $has. }Set \`version\`, or switch NFS $2 on at the server" >&2
    ;;
nfs,*"access denied"*) echo "the server does not export $4 to this host" >&2 ;;
cifs,*"error(95)"*) echo "the server refuses SMB $2. Set \`version\` to one that it has; an older one is never tried by itself" >&2 ;;
cifs,*"error(13)"*) echo "the server refuses the user: look at username, password and domain, and at who may use the share" >&2 ;;
cifs,*"error(2)"*) echo "there is no such share or directory: $4" >&2 ;;
esac
return 1
