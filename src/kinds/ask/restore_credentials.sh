# restore_credentials FILE KEPT: puts back what write_credentials has kept.
[ -f "$2" ] && mv -f -T -- "$2" "$1" || { echo "the former credentials are not kept: $1 holds the new ones" >&2; return 1; }
