# ocfs2_super DEVICE: what may be the super block of an OCFS2, for each size of block: lines `BLOCKSIZE HEX`, past every cache.
for size in 512 1024 2048 4096; do
    case $size in 512) skip=2 ;; 1024) skip=4 ;; 2048) skip=8 ;; *) skip=16 ;; esac
    bytes=$(dd if="$1" bs=4096 count=3 iflag=direct status=none | od -An -v -tx1 -w512 | sed -n "$((skip + 1))p") || return 1
    [ -n "$bytes" ] || { echo "$1 cannot be read" >&2; return 1; }
    case $bytes in ' 4f 43 46 53 56 32 00'*) printf '%s%s\n' "$size" "$bytes" ;; esac
done
echo end
