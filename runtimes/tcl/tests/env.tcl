puts $env(GREETING)
