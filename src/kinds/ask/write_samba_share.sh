# write_samba_share FILE: puts what stands on standard input into FILE, whole or not at all, if Samba takes its configuration with it.
umask 022
mkdir -p -- "${1%/*}" || return 1
draft=$1.larder-new
rm -f -- "$draft" && cat >"$draft" || { rm -f -- "$draft"; return 1; }
rest=$(samba_without "$1") && printf '%s\ninclude = %s\n' "$rest" "$draft" | samba_accepts || {
    rm -f -- "$draft"
    echo "testparm does not accept the share; nothing was changed" >&2
    return 1
}
sync -- "$draft" && mv -f -T -- "$draft" "$1" && sync -- "${1%/*}" || { rm -f -- "$draft"; return 1; }
reload_samba
