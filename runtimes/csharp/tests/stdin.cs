using System;
using System.IO;

class Input {
    static void Main() {
        using (var bytes = new MemoryStream()) {
            Console.OpenStandardInput().CopyTo(bytes);
            Console.WriteLine($"{bytes.Length} bytes");
        }
    }
}
