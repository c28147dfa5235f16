$bytes = [IO.MemoryStream]::new()
[Console]::OpenStandardInput().CopyTo($bytes)
Write-Output "$($bytes.Length) bytes"
