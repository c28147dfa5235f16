print("never printed")
if:
