defmodule Loop do
  def forever, do: forever()
end

IO.puts("started")
Loop.forever()
