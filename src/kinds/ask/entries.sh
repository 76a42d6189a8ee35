# directory_entries DIRECTORY: a few of the names in it, one a line, in no order.
ls -A -U -q -- "$1" | head -n 33
