Write-Output 'never printed'
if (
