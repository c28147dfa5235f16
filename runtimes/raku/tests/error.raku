say "never printed";
if {
