:- initialization(main).

main :-
    read_string(user_input, _, Text),
    string_length(Text, Length),
    format('~d bytes~n', [Length]).
