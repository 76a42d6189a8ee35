# can_use USER DIRECTORY: whether USER can enter and write it, tried as that user; says yes or no.
if runuser -u "$1" -- test -d "$2" -a -w "$2" -a -x "$2"; then echo yes; else echo no; fi
