#!/bin/sh
# What runs inside of lab hosts, and starts those out of Linux namespaces. This text is constant: every value arrives as
# an argument.
#
#   start LAB LABEL NUMBER ADDRESS SSHD [USER]   start one host; standard input is the lab's lock
#   boot  LAB LABEL NUMBER ADDRESS SSHD [USER]   what PID 1 of the host runs until it becomes sshd
#   container SSHD LOG [USER]                    what PID 1 of a container runs until it becomes sshd
#   with_nodes LAB COMMAND...                    in a mount namespace of its own: run a command that opens loop devices
#   user  NAME                                   inside a host: add a user who may use sudo
#   link  PATH DEVICE                            inside a host: make DEVICE (loopN) reachable as PATH
set -eu

# The lock must outlive whoever called, and end once the process to be ended by `down` is on record:
# so a caller killed at any moment leaves either nothing or a host that `down` finds.
start() {
    exec 9<&0 </dev/null
    host=$1/hosts/$2
    rm -f "$host/recorded"
    mkfifo "$host/recorded"
    setsid unshare --mount --uts --ipc --net --pid --fork --propagation private \
        sh "$0" boot "$@" 9<&- 3>"$host/recorded" >>"$host/boot.log" 2>&1 &
    answer=
    read -r answer <"$host/recorded" || true
    rm -f "$host/recorded"
    [ "$answer" = recorded ]
}

boot() {
    lab=$1 label=$2 number=$3 address=$4 sshd=$5 user=${6-}
    host=$lab/hosts/$label

    # /proc is still the machine's here, so this is our PID as the machine sees it. Field 22 is the start time.
    read -r stat </proc/self/stat
    read -r machine_boot </proc/sys/kernel/random/boot_id
    # shellcheck disable=SC2086 # numbers and one word in brackets
    set -- $stat
    pid=$1
    shift 21
    echo "$machine_boot $pid $1" >"$host/pid.new"
    mv "$host/pid.new" "$host/pid"
    echo recorded >&3
    exec 3>&-

    hostname "$label"
    ip link set lo up
    ip link add eth0 address "$(printf '02:1a:b0:00:00:%02x' "$number")" type veth peer name "h$number" netns "$lab/netns"
    ip address add "$address/24" dev eth0
    ip link set eth0 up
    nsenter --net="$lab/netns" ip link set "h$number" master lab up

    mount -t tmpfs -o mode=755,nosuid dev "$host/dev"
    cp -a "$lab/dev/." "$host/dev/"
    # A container's /dev holds no nodes for loop devices made later; ours does.
    grep -q ' /dev devtmpfs ' /proc/mounts || mount --bind "$host/dev" /dev

    mount -t ext4 -o loop,noinit_itable "$host/disk.img" "$host/root"
    cd "$host/root"
    # Paths relative to here, because commas and colons in the lab's path would be syntax to overlayfs.
    mount -t overlay -o lowerdir=/usr,upperdir=.usr/upper,workdir=.usr/work overlay usr || read_only /usr usr
    for name in bin sbin lib lib32 lib64 libx32; do
        if [ -d "$name" ] && ! [ -L "$name" ]; then read_only "/$name" "$name"; fi
    done
    mount -t proc -o nosuid,nodev,noexec proc proc
    # These belong to the machine's kernel, not to the host.
    for name in proc/sys proc/sysrq-trigger; do
        if [ -e "$name" ]; then read_only "$name" "$name"; fi
    done
    mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
    mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
    mkdir run/sshd run/lock
    mount --move "$host/dev" dev
    mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
    mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs dev/shm
    if [ -e "$host/devices" ]; then
        while read -r path device; do link ".$path" "$device"; done <"$host/devices"
    fi

    exec 4>>"$host/sshd.log"
    mkdir -p .machine
    pivot_root . .machine
    cd /
    umount -l /.machine
    rmdir /.machine

    [ -z "$user" ] || user "$user"
    # As at any boot: what fstab says comes back, and a mount that fails does not keep the host from coming up.
    timeout 60 mount -a || echo "mount -a: exit status $?"
    become_sshd "$sshd" setpriv --bounding-set=-sys_module,-sys_rawio,-sys_time
}

container() {
    sshd=$1 user=${3-}
    exec 4>>"$2"
    mkdir -p /run/sshd /run/lock /dev/disk/by-id
    [ -e /dev/fuse ] || mknod -m 666 /dev/fuse c 10 229
    [ -e /dev/loop-control ] || mknod -m 660 /dev/loop-control c 10 237
    number=0
    while [ "$number" -lt 64 ]; do
        [ -e "/dev/loop$number" ] || mknod -m 660 "/dev/loop$number" b 7 "$number"
        number=$((number + 1))
    done
    chown root:root /root/.ssh /root/.ssh/authorized_keys
    [ -z "$user" ] || user "$user"
    become_sshd "$sshd"
}

# become_sshd SSHD [COMMAND...]: the command is put before it. Its log is file descriptor 4.
become_sshd() {
    sshd=$1
    shift
    penalties=
    # Since 9.8 sshd bans addresses whose connections end abruptly, which is what tests of broken connections do.
    if "$sshd" -t -o PerSourcePenalties=no 2>/dev/null; then penalties='-o PerSourcePenalties=no'; fi
    # shellcheck disable=SC2086 # two words or none
    exec "$@" env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
        "$sshd" -D -e $penalties 2>&4 4>&-
}

read_only() {
    mount --bind "$1" "$2"
    mount -o remount,bind,ro "$2"
}

with_nodes() {
    lab=$1
    shift
    mkdir -p "$lab/devices/.dev"
    mount -t tmpfs -o mode=755,nosuid dev "$lab/devices/.dev"
    cp -a "$lab/dev/." "$lab/devices/.dev/"
    mount --bind "$lab/devices/.dev" /dev
    exec "$@"
}

user() {
    if id -u "$1" >/dev/null 2>&1; then return; fi
    uid=1000
    while getent passwd "$uid" >/dev/null || getent group "$uid" >/dev/null; do uid=$((uid + 1)); done
    echo "$1:x:$uid:" >>/etc/group
    echo "$1:*:19000:0:99999:7:::" >>/etc/shadow
    shell=$(getent passwd root | cut -d: -f7)
    echo "$1:x:$uid:$uid:$1:/home/$1:$shell" >>/etc/passwd
    mkdir -p "/home/$1/.ssh"
    cp /root/.ssh/authorized_keys "/home/$1/.ssh/"
    chmod 700 "/home/$1" "/home/$1/.ssh"
    chown -R "$uid:$uid" "/home/$1"
    echo "$1 ALL=(ALL:ALL) NOPASSWD: ALL" >"/etc/sudoers.d/$1"
    chmod 440 "/etc/sudoers.d/$1"
}

link() {
    directory=${1%/*}
    node=${1%%dev/*}dev/$2
    mkdir -p "$directory"
    [ -b "$node" ] || mknod -m 660 "$node" b 7 "${2#loop}"
    ln -sfn "/dev/$2" "$1"
}

"$@"
