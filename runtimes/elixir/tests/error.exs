IO.puts("never printed")
defmodule do
