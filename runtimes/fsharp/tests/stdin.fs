open System
open System.IO

let bytes = new MemoryStream()
Console.OpenStandardInput().CopyTo bytes
printfn "%d bytes" bytes.Length
