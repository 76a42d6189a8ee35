# media_facts PATH BYTES: what a file is, as `MODE OWNER DEVICE INODE SIZE WRITTEN CHANGED`; for a regular file of so many bytes then
# `sha256 DIGEST`, and not before the file was the same from beginning to end. A digest that an upload left behind is believed while
# nothing of the file has changed, its time of change among it.
facts=$(stat -c '%f %u %d %i %s %.Y %.Z' -- "$1") || return
[ -f "$1" ] && [ ! -h "$1" ] && [ "$(stat -c %s -- "$1")" = "${2:-none}" ] || { printf '%s\n' "$facts"; return 0; }
name=$(printf '%s' "$1" | sha256sum) || return
kept=/var/lib/larder/digests/${name%% *}
if [ -f "$kept" ] && [ ! -h "$kept" ] && [ "$(stat -c '%u %a' -- "$kept" "${kept%/*}")" = "0 600
0 700" ] && keeps_times "$1" && { IFS= read -r digest && IFS= read -r of; } <"$kept" && [ "$of" = "$facts" ]; then
    printf '%s\nsha256 %s\n' "$facts" "$digest"
    return
fi
# Says how reading the file ended, then its sum. Whatever has that name by now, no more is read than a file of that size can have, and
# nothing is waited for. The other end waits as long as it hears that something was read.
sum() {
    {
        dd if="$1" bs=1048576 iflag=nofollow,nonblock,count_bytes,fullblock count="$(($2 + 1))" status=none &
        reader=$!
        before=0
        while sleep 5 >/dev/null 2>&1 3>&- 4>&-; do
            now=
            { while read -r word now; do [ "$word" != pos: ] || break; done <"/proc/$reader/fdinfo/0"; } 2>/dev/null
            [ "${now:=$before}" = "$before" ] || larder_progress "$now" "$2"
            before=$now
        done >&4 3>&- &
        ticker=$!
        wait "$reader"
        printf '%s ' "$?" >&3
        kill "$ticker"
        wait "$ticker" 2>/dev/null
    } | sha256sum >&3
}
# A server may tell a moment later only when what was written just before was written: the file is read again then.
left=3
{
    while :; do
        digest=$(sum "$1" "$2" 3>&1)
        status=${digest%% *}
        digest=${digest#* }
        [ "$status" = 0 ] || break
        now=$(stat -c '%f %u %d %i %s %.Y %.Z' -- "$1")
        [ "$now" != "$facts" ] || break
        left=$((left - 1))
        [ "$left" -gt 0 ] && [ "${now% * *}" = "${facts% * *}" ] || { status=changes; break; }
        facts=$now
    done
} 4>&1
printf '%s\n' "$facts"
[ "$status" != changes ] || { echo "$1 changes while it is read" >&2; return 1; }
[ "$status" = 0 ] || { echo "$1 cannot be read" >&2; return 1; }
printf 'sha256 %s\n' "${digest%% *}"
