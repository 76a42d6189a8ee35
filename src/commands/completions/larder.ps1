# Completion of larder in PowerShell 7. In $PROFILE: larder completions powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName larder -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # The words as they are written: nothing of them is evaluated.
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
    })
    $current = $wordToComplete.Trim("'", '"')
    $larder = Get-Command larder -CommandType Application -ErrorAction SilentlyContinue | Select-Object -First 1
    if ($null -eq $larder) { return }
    & $larder complete '--' @words $current 2>$null | ForEach-Object {
        $value, $help = $_.Split("`t", 2)
        if (-not $help) { $help = $value }
        $text = $value
        if ($value -notmatch '^[A-Za-z0-9_./=:+%-]+$') { $text = "'" + $value.Replace("'", "''") + "'" }
        [System.Management.Automation.CompletionResult]::new($text, $value, 'ParameterValue', $help)
    }
}
