main(_) ->
    lists:foreach(fun(_) -> io:put_chars("123456789\n") end, lists:seq(1, 100000)).
