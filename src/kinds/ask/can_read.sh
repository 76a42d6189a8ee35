# can_read USER DIRECTORY: whether USER can enter and list it, tried as that user; says yes or no.
command -v runuser >/dev/null || { echo "runuser: not found" >&2; return 127; }
runuser -u "$1" -- test -d "$2" -a -r "$2" -a -x "$2"
case $? in 0) echo yes ;; 1) echo no ;; *) return 1 ;; esac
