# in_private DIRECTORY: makes a directory that only root can change below one that guests may write, and enters it. What is
# done there by relative paths cannot be led elsewhere by links or renames.
private=$(mktemp -d -- "$1/.larder.XXXXXXXX") || return 1
cd -P -- "$private" && [ "$(stat -c '%u %F' .)" = '0 directory' ] || { echo "$private was exchanged while it was made" >&2; return 1; }
