# asks_the_kernel_only FUNCTION: whether a question never touches the storage that its words name.
case $1 in mounts_at | open_files_below) ;; *) return 1 ;; esac
