(display "Grüße, 世界 🌍\n")
