puts [never printed
