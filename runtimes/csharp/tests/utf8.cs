using System;

class Greeting {
    static void Main() {
        Console.WriteLine("Grüße, 世界 🌍");
    }
}
