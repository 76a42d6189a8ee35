# grow_ocfs2 DEVICE: lets an OCFS2 fill its device, while it is mounted.
tunefs.ocfs2 -y -S -- "$1" </dev/null
