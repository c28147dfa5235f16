local greeting = require("greeting")

print(greeting.greet("world"))
