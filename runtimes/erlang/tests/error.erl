main(_) ->
    io:format("never printed~n")
    ok.
