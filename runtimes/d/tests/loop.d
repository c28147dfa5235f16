import std.stdio;

void main()
{
    writeln("started");
    stdout.flush();
    while (true)
    {
    }
}
