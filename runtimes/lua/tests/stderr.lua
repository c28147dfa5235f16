print("to stdout")
io.stderr:write("to stderr\n")
os.exit(3)
