# remove_samba_share FILE: removes it, and the directory with the last of them.
rm -f -- "$1" && remove_empty_directories "${1%/*}" && reload_samba
