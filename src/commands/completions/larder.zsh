#compdef larder
# Completion of larder in zsh. In ~/.zshrc, behind compinit: source <(larder completions zsh)
# Or as a file _larder in a directory of $fpath.
_larder() {
    local line value shown
    local -a finished finished_shown unfinished unfinished_shown
    for line in "${(@f)$(command larder complete -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        value=${line%%$'\t'*}
        shown=$value
        [[ $line == *$'\t'?* ]] && shown="$value  -- ${line#*$'\t'}"
        if [[ $value == *[=@/] ]]; then
            unfinished+=("$value")
            unfinished_shown+=("$shown")
        else
            finished+=("$value")
            finished_shown+=("$shown")
        fi
    done
    compadd -V larder -l -d finished_shown -a finished
    # What is not finished gets no blank.
    compadd -V larder -l -S '' -d unfinished_shown -a unfinished
}
if [[ ${funcstack[1]} == _larder ]]; then
    _larder "$@"
else
    compdef _larder larder
fi
