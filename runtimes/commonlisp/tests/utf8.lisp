(write-line "Grüße, 世界 🌍")
