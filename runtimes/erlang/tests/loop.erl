main(_) ->
    io:format("started~n"),
    forever().

forever() ->
    forever().
