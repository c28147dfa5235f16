:- initialization(main).

main :- getenv('GREETING', Greeting), writeln(Greeting).
