import std.file : readText;
import std.stdio;

void main()
{
    write(readText("data.txt"));
}
