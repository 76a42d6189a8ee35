# remove_credentials FILE KEPT: removes it with what may be kept of its former text, and the directory with the last of them.
rm -f -- "$1" "$2" && remove_empty_directories "${1%/*}"
