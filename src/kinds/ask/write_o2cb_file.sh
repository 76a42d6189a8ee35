# write_o2cb_file FILE OLD: what stands on standard input becomes FILE, where OLD stands now (nothing, if OLD is empty), whole or not at
# all; nothing on standard input removes it. Links are followed.
is_still "$1" "$2" || return 1
file=$1
[ ! -e "$1" ] || file=$(readlink -e -- "$1") || return 1
mkdir -p -- "${file%/*}" || return 1
draft=$file.larder-new
rm -f -- "$draft" && cat >"$draft" && chmod 0644 -- "$draft" || { rm -f -- "$draft"; return 1; }
if [ ! -s "$draft" ]; then
    rm -f -- "$draft" "$file"
    sync -- "${file%/*}"
    return
fi
sync -- "$draft" && mv -f -T -- "$draft" "$file" && sync -- "${file%/*}" || { rm -f -- "$draft"; return 1; }
