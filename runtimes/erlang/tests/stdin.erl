main(_) ->
    io:format("~b bytes~n", [count(0)]).

count(Count) ->
    case io:get_chars("", 1024) of
        eof -> Count;
        Text -> count(Count + length(Text))
    end.
