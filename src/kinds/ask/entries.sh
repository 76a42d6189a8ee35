# directory_entries DIRECTORY: a few of the names in it, one a line, in no order; then a slash, where those are all.
{ ls -A -U -q -- "$1" && echo /; } | head -n 33
