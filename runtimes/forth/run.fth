\ Runs the program that the command line names, and ends with it. What it includes is looked for
\ among the input files too.
s" /tmp/input" fpath also-path
:noname  next-arg included  state @ abort" unfinished definition"  bye ; execute
