# check_access USER DIRECTORY BIT: whether USER can enter the directory and use it as test(1) says with BIT, -r or -w.
runuser -u "$1" -- test -d "$2" -a "$3" "$2" -a -x "$2" && return
case $3 in -w) word=writable ;; *) word=readable ;; esac
echo "$2 is not $word by $1 here: $(stat -c 'mode %a of %u:%g' -- "$2" 2>&1). Does the server give it away read-only, or to other users?" >&2
return 1
