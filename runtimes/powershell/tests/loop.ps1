Write-Output 'started'
while ($true) {
}
