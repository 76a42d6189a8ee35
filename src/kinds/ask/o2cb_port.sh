# o2cb_port ADDRESS PORT: whether a TCP connection is taken there within three seconds. A host on which OCFS2 is mounted has its
# connections: there nobody tries.
while read -r line; do
    case $line in *' - ocfs2 '*) echo 'not tried'; return 0 ;; esac
done </proc/self/mountinfo
command -v bash >/dev/null || { echo 'not tried'; return 0; }
said=$(LC_ALL=C timeout 3 bash -c 'exec 3<>"/dev/tcp/$1/$2"' bash "$1" "$2" 2>&1 </dev/null)
case $? in
0) echo open ;;
124 | 137) echo silent ;;
*) said=${said##*: }; printf 'refused %s\n' "${said:-no connection}" ;;
esac
