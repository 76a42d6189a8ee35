# lock_mount_point DIRECTORY [immutable]: an empty directory that nobody can write while nothing is mounted on it.
chown 0:0 -- "$1" && chmod 0000 -- "$1" || return 1
[ "${2-}" != immutable ] || chattr +i -- "$1"
