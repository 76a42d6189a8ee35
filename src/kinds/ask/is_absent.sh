# is_absent PATH: says absent if nothing exists there, not even a link; says present otherwise. Anything else is a failure.
if trouble=$(stat -c %i -- "$1" 2>&1 >/dev/null); then
    echo present
else
    case $trouble in *"No such file or directory") echo absent ;; *) printf '%s\n' "$trouble" >&2; return 1 ;; esac
fi
