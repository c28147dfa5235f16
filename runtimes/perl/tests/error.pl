print "never printed\n";
if {
