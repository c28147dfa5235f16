puts "[string length [read stdin]] bytes"
