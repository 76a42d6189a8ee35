# write_credentials FILE: what stands on standard input, for root alone; the file is there whole or not at all.
umask 077
mkdir -p -- "${1%/*}" && chmod 0700 -- "${1%/*}" || return 1
draft=$1.larder-new
rm -f -- "$draft" && cat >"$draft" && sync -- "$draft" && mv -f -T -- "$draft" "$1" || { rm -f -- "$draft"; return 1; }
