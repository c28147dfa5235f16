import std.stdio;

void main()
{
    writeln("never printed")
}
