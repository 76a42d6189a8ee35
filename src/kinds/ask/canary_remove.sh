# canary_remove USER DIRECTORY NAME DRAWN: removes the file that canary_write wrote.
runuser -u "$1" -- rm -f -- "$2/$3.$4"
