say $*IN.slurp(:bin).bytes, " bytes";
