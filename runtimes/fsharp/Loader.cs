// The compiler names this type of .NET, and uses it on .NET alone.
using System;
using System.Reflection;

[assembly: AssemblyVersion("4.0.0.0")]

namespace System.Runtime.Loader {
    public abstract class AssemblyLoadContext {
        public static AssemblyLoadContext Default => throw new PlatformNotSupportedException();

        public event Func<AssemblyLoadContext, AssemblyName, Assembly> Resolving {
            add => throw new PlatformNotSupportedException();
            remove => throw new PlatformNotSupportedException();
        }

        public Assembly LoadFromAssemblyPath(string path) => throw new PlatformNotSupportedException();
    }
}
