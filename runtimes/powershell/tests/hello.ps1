Write-Output 'Hello, world!'
