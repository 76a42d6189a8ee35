# canary_write USER DIRECTORY NAME DRAWN: writes, as USER, a file NAME.DRAWN that nobody can have had before, for other hosts to see.
# Other files called NAME are this host's and were left behind: the lock of the host keeps out any other run.
runuser -u "$1" -- sh -c '
cd -- "$1" || exit
for old in "./$2".*; do [ ! -f "$old" ] || [ -h "$old" ] || rm -f -- "$old"; done
printf "%s\n" "$3" | dd of="./$2.$3" conv=excl,fsync status=none
' sh "$2" "$3" "$4" || { echo "$1 could not write a file into $2" >&2; return 1; }
