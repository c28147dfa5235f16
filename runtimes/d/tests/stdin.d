import std.stdio;

void main()
{
    size_t bytes;
    foreach (chunk; stdin.byChunk(4096))
        bytes += chunk.length;
    writeln(bytes, " bytes");
}
