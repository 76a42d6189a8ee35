# iscsi_is_one PATH: whether a path leads to a device in `names` or `numbers`; 2 where it leads nowhere.
case "$names " in *" $1 "*) return 0 ;; esac
[ -e "$1" ] && path=$(readlink -f -- "$1") || return 2
case "$names " in *" $path "*) return 0 ;; esac
[ -b "$path" ] || return 1
number=$(stat -c '%t %T' -- "$path") || return 2
number=$((0x${number% *})):$((0x${number#* }))
case $numbers in *" $number "*) return 0 ;; esac
return 1
