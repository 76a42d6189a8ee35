# place_for_image DIRECTORY: makes a directory for an image in the making: one of root's, as `in_private` makes it, and enters it. Where the
# server takes root for somebody else (a squashed root, CIFS), it is the owner's of DIRECTORY, and `as` stands before each command that
# works in it: with no more rights than a guest has, nothing can be led anywhere. `here` is how its name begins, `private` its path, and
# `remote` is set where the directory is a server's. What others of its kind were left behind is taken away.
as= here=.
private=$(mktemp -d -- "$1/.larder.XXXXXXXX" 2>/dev/null) && owner=$(stat -c %u -- "$private") || owner=
[ -z "$private" ] || rmdir -- "$private" || return 1
remote=$(stat -f -c %T -- "$1") || return 1
case $remote in nfs | cifs | smb | smb2) ;; *) remote= owner=0 ;; esac
if [ "$owner" = 0 ]; then
    in_private "$1" || return 1
else
    owner=$(stat -c '%u %g' -- "$1") || return 1
    as="setpriv --reuid=${owner% *} --regid=${owner#* } --clear-groups --"
    private=$($as mktemp -d -- "$1/.larder.XXXXXXXX") && here=$private || return 1
fi
sweep_private "$1"
