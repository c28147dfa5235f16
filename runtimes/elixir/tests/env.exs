IO.puts(System.fetch_env!("GREETING"))
