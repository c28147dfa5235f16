// The compiler looks for this type here, Mono has it elsewhere.
using System.Reflection;
using System.Runtime.CompilerServices;

[assembly: AssemblyVersion("4.0.2.0")]
[assembly: TypeForwardedTo(typeof(System.Buffers.ArrayPool<>))]
