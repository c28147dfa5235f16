my $text = do { local $/; <STDIN> } // "";
print length($text), " bytes\n";
