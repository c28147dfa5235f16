:- use_module(greeting).

:- greet(world).
