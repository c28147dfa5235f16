Write-Output 'Grüße, 世界 🌍'
