using System;

class Streams {
    static int Main() {
        Console.WriteLine("to stdout");
        Console.Error.WriteLine("to stderr");
        return 3;
    }
}
