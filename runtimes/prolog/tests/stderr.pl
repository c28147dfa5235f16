:- initialization(main).

main :-
    writeln('to stdout'),
    writeln(user_error, 'to stderr'),
    halt(3).
