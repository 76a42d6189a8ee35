# multipath_maps: what multipathd says of its devices (JSON); `off` where it does not run. Its socket would start it: only a service
# that runs is asked.
command -v multipathd >/dev/null && [ -d /run/systemd/system ] || { echo off; return 0; }
state=$(systemctl show -p ActiveState -- multipathd.service) || return 1
[ "$state" = ActiveState=active ] || { echo off; return 0; }
timeout -k 1 10 multipathd show maps json
