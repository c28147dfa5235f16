for _ in 1 .. 100000 do
    System.Console.WriteLine 123456789
