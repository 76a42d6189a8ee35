# writers_below PATTERN...: who has a file open for writing at or below the paths; then a line `end`, without which nothing is known.
uses=$(open_files_below "$@") || return 1
case $uses in *end) printf '%s\n' "$uses" | sed -n -e '/^write /p' -e '/^end$/p' ;; *) return 1 ;; esac
