# media_listing DIRECTORY COUNT: regular files at and below a directory, at most COUNT of them, each as SIZE and PATH, both ended by
# NUL bytes; then `end`, where those are all.
{ find "$1" -xdev -type f -printf '%s\0%P\0' && printf 'end\0'; } | head -z -n "$((2 * $2 + 1))"
