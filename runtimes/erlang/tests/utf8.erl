main(_) ->
    io:format("~ts~n", ["Grüße, 世界 🌍"]).
