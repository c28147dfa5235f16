using System;

class Broken {
    static void Main() {
        Console.WriteLine("never printed")
    }
}
