-module(file_reader).
-export([start/0]).

start() ->
    {ok, Content} = file:read_file("data.txt"),
    io:put_chars(Content).
