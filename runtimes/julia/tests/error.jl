println("never printed")
if (
