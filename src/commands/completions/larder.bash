# Completion of larder in bash. In ~/.bashrc: source <(larder completions bash)
_larder() {
    local entry
    COMPREPLY=()
    # larder reads the line as bash does, and answers with what readline is to put in place of the last part of the word.
    while IFS= read -r entry; do
        COMPREPLY+=("$entry")
    done < <(command larder complete "-bash=$COMP_WORDBREAKS" -- "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)
    # What is not finished gets no blank.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=@/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _larder larder
