use strict;
use warnings;
use JSON::PP;
use Greeting;

print encode_json({ greeting => Greeting::greet("world") }), "\n";
