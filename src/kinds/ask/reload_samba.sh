# reload_samba: lets Samba read its configuration anew and waits until it has; where it does not run it will read it when it starts.
# That smbd says nothing is no proof that it does not run: a process of that name is looked for too.
if ! told=$(smbcontrol -t 5 smbd ping 2>&1); then
    here=$(readlink /proc/self/ns/pid) || { echo "/proc cannot be read" >&2; return 1; }
    for process in /proc/[0-9]*; do
        name=
        { IFS= read -r name <"$process/comm"; } 2>/dev/null
        case $name in smbd*) ;; *) continue ;; esac
        [ "$(readlink "$process/ns/pid")" = "$here" ] || continue # it serves a container
        printf 'smbd runs as process %s and does not answer: %s\n' "${process#/proc/}" "$told" >&2
        return 1
    done
    return 0
fi
smbcontrol all reload-config && smbcontrol -t 10 smbd ping >/dev/null
