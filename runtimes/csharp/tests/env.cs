using System;

class Env {
    static void Main() {
        Console.WriteLine(Environment.GetEnvironmentVariable("GREETING"));
    }
}
