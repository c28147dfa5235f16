say "to stdout";
note "to stderr";
exit 3;
