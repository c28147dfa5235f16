console.log("never printed");
if {
