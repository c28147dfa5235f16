Write-Output 'to stdout'
[Console]::Error.WriteLine('to stderr')
exit 3
