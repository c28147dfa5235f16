@include "greeting"

BEGIN { print greet("world") }
