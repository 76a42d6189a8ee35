# in_private DIRECTORY: makes a directory that only root can change below one that guests may write, and enters it. What is
# done there by relative paths cannot be led elsewhere by links or renames.
# Directories of that kind that are there already were left behind: the lock of the host keeps out any other run.
set +f
for private in "$1"/.larder.????????; do
    [ -d "$private" ] && [ ! -h "$private" ] || continue
    (cd -P -- "$private" && [ "$(stat -c '%u' .)" = 0 ] && rm -f ./image) && rmdir -- "$private"
done
set -f
private=$(mktemp -d -- "$1/.larder.XXXXXXXX") || return 1
cd -P -- "$private" && [ "$(stat -c '%u %F' .)" = '0 directory' ] || { echo "$private was exchanged while it was made" >&2; return 1; }
