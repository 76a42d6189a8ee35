# Completion of larder in elvish. In ~/.config/elvish/rc.elv: eval (larder completions elvish | slurp)
use str
set edit:completion:arg-completer[larder] = {|@words|
    try {
        (external larder) complete -- $@words 2>/dev/null | each {|line|
            var value help = (str:split &max=2 "\t" $line"\t")
            var suffix = ' '
            if (or (str:has-suffix $value '=') (str:has-suffix $value '@') (str:has-suffix $value '/')) {
                set suffix = ''
            }
            edit:complex-candidate $value &display=(str:trim-right $value'  '$help "\t ") &code-suffix=$suffix
        }
    } catch e {
        nop
    }
}
