import std.stdio;

int main()
{
    writeln("to stdout");
    stderr.writeln("to stderr");
    return 3;
}
