using System;

class Lines {
    static void Main() {
        for (int i = 0; i < 100000; i++) {
            Console.WriteLine(123456789);
        }
    }
}
