# in_private DIRECTORY: makes a directory that only root can change below one that guests may write, and enters it. What is
# done there by relative paths cannot be led elsewhere by links or renames. `remote` says of which kind its server is, if any.
private=$(mktemp -d -- "$1/.larder.XXXXXXXX") || return 1
# Whoever may write DIRECTORY can put a link in its place before it is entered: but no other directory has its name.
if cd -P -- "$private" && [ "$(stat -c '%F %u' .)" = 'directory 0' ]; then
    # A directory passes its set-group-ID bit on, and CIFS shows what it was told when it was mounted.
    case $remote-$(stat -c %a .) in *-700 | *-2700 | cifs-* | smb*-*) mode=private ;; *) mode=other ;; esac
    case $mode-$(pwd -P) in
    private-*/"${private##*/}") [ "$(stat -c '%d %i' ..)" != "$(stat -c '%d %i' -- "$1/.")" ] || return 0 ;;
    esac
fi
cd /
rmdir -- "$private" 2>/dev/null
echo "$private was exchanged while it was made" >&2
return 1
