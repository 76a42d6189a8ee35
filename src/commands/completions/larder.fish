# Completion of larder in fish. As ~/.config/fish/completions/larder.fish
function __larder_complete
    set -l current (commandline --current-token)[1]
    set -l plain (string unescape -- "$current")
    and set current $plain[1]
    command larder complete -- (commandline --tokenize --current-process --cut-at-cursor) "$current" 2>/dev/null
end
complete --command larder --no-files --keep-order --arguments '(__larder_complete)'
