# remove_empty_directories DIRECTORY...: removes each, innermost first, and stops without complaint at the first that is not empty.
for directory in "$@"; do
    [ -d "$directory" ] && [ ! -h "$directory" ] || continue
    rest=$(ls -A -- "$directory") || return 1
    [ -z "$rest" ] || return 0
    rmdir -- "$directory" || return 1
done
return 0
