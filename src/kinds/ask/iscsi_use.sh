# iscsi_use IQN PORT ADDRESS [ADDRESS]: who uses the disks of the sessions with a portal: lines `holder NAME`, `last-path MAP`,
# `mounted TARGET`, `swap PATH` and `open PID NAME`; then a line `end`. multipathd, which watches its paths, uses none.
sids=$(iscsi_sids "$@") || return 1
numbers=' ' names=
for sid in $sids; do
    set +f
    for disk in "/sys/class/iscsi_session/session$sid"/device/target*/*:*/block/*; do
        [ ! -e "$disk/dev" ] || iscsi_above "$disk" "$sid" || return 1
    done
    set -f
done
[ -n "$names" ] || { echo end; return 0; }
while read -r line; do
    from=${line##* - }
    set -- $line
    source=${from#* }
    case "$numbers|$names " in
    *" $3 "*"|"* | *"|"*" ${source%% *} "*) printf 'mounted %s\n' "$5" ;;
    esac
done </proc/self/mountinfo
while read -r name line; do
    case "$names " in *" $name "*) printf 'swap %s\n' "$name" ;; esac
done </proc/swaps
uses=$(open_files_below $names) || return 1
printf '%s\n' "$uses" | while read -r word pid name; do
    case $word in
    name) [ "$name" = multipathd ] || printf 'open %s %s\n' "$pid" "$name" ;;
    read | write) case $pid in loop*) printf 'open %s %s\n' "$pid" "$name" ;; esac ;;
    esac
done
echo end
