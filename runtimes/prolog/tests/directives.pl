:- use_module(library(clpfd)).

:- X * 6 #= 252, writeln(X).
