import std.process : environment;
import std.stdio;

void main()
{
    writeln(environment["GREETING"]);
}
