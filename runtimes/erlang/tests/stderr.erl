main(_) ->
    io:put_chars("to stdout\n"),
    io:put_chars(standard_error, "to stderr\n"),
    halt(3).
