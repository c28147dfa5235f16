identification division.
program-id. env.
data division.
working-storage section.
01 greeting pic x(1000).
procedure division.
    accept greeting from environment "GREETING".
    display function trim(greeting trailing).
    stop run.
