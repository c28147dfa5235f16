using System;
using System.IO;

class ReadFile {
    static void Main() {
        Console.Write(File.ReadAllText("data.txt"));
    }
}
