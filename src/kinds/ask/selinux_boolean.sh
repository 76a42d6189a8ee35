# selinux_boolean NAME: `none` where the kernel has no SELinux; else `now N` (`now -` where the policy has no such boolean) and `kept N`, what
# setsebool -P has written for the next boot (`kept -` where it has written nothing); then `end`, without which nothing is known.
[ -e /sys/fs/selinux/enforce ] || { echo none; echo end; return 0; }
now=-
if [ -e "/sys/fs/selinux/booleans/$1" ]; then read -r now word <"/sys/fs/selinux/booleans/$1" || return 1; fi
policy=$(sed -n 's/^SELINUXTYPE=//p' /etc/selinux/config) || return 1
kept=
# The second is where it is kept now; the first may be left over from an older release.
for file in "/etc/selinux/$policy/modules/active/booleans.local" "/var/lib/selinux/$policy/active/booleans.local"; do
    [ -e "$file" ] || continue
    value=$(sed -n "s/^$1=//p" "$file") || return 1
    [ -z "$value" ] || kept=$value
done
printf 'now %s\nkept %s\nend\n' "$now" "${kept:--}"
