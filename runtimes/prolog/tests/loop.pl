:- initialization(main).

main :- writeln(started), flush_output, repeat, fail.
