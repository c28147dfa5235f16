puts ENV.fetch("GREETING")
