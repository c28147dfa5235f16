println 'to stdout'
System.err.println 'to stderr'
System.exit 3
