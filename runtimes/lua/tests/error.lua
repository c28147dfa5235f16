print("never printed")
if
