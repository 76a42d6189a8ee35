# compare_credentials FILE TEXT: whether the file is root's alone and holds exactly the text. Only this shell sees either.
if [ ! -e "$1" ] && [ ! -h "$1" ]; then
    # Below a directory that cannot be looked into, nothing is known.
    [ ! -d "${1%/*}" ] || [ -x "${1%/*}" ] || return 1
    echo absent
    return 0
fi
facts=$(stat -c '%u %a %F' -- "$1") || return 1
case $facts in
"0 600 regular file" | "0 400 regular file" | "0 600 regular empty file") ;;
*) echo exposed; return 0 ;;
esac
held=$(cat -- "$1" && echo x) || return 1
if [ "${held%x}" = "$2" ]; then echo same; else echo differ; fi
