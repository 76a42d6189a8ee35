# image_facts PATH: the inode of an image and the first bytes of it.
stat -c '%f %u %g %d %i %s %b %B' -- "$1" || return
[ ! -f "$1" ] || [ -h "$1" ] || od -A n -v -t x1 -N 1024 -- "$1"
