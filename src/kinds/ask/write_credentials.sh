# write_credentials FILE [KEPT]: what stands on standard input, for root alone; the file is there whole or not at all. What it held before
# stays as KEPT, as much root's alone.
umask 077
mkdir -p -- "${1%/*}" && chmod 0700 -- "${1%/*}" || return 1
[ $# -lt 2 ] || { rm -f -- "$2" && cat -- "$1" >"$2"; } || { rm -f -- "$2"; return 1; }
draft=$1.larder-new
rm -f -- "$draft" && cat >"$draft" && sync -- "$draft" && mv -f -T -- "$draft" "$1" || { rm -f -- "$draft"; return 1; }
