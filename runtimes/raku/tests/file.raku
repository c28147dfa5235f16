print slurp "data.txt";
