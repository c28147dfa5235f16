import std.stdio;

void main()
{
    foreach (i; 0 .. 100_000)
        writeln("123456789");
}
