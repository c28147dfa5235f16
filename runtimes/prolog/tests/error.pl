:- initialization(main).

main :- writeln('never printed' .
