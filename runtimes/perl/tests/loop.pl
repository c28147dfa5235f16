$| = 1;
print "started\n";
while (1) { }
