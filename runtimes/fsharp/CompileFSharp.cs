using System;
using System.Linq;
using System.Runtime.InteropServices;
using FSharp.Compiler.SourceCodeServices;
using Microsoft.FSharp.Control;

/// <summary>The F# compiler with its usual arguments; it tells errors as fsc does, and without any its version.</summary>
static class CompileFSharp {
    /// <summary>Ends at once: Mono may wait for an idle thread of the compiler for a minute.</summary>
    [DllImport("libc", EntryPoint = "_exit")]
    static extern void End(int exitCode);

    static void Main(string[] arguments) {
        End(Run(arguments));
    }

    static int Run(string[] arguments) {
        if (arguments.Length == 0) {
            Console.WriteLine($"F# {typeof(FSharpAsync).Assembly.GetName().Version.ToString(2)}");
            return 0;
        }
        var checker = FSharpChecker.Create(null, null, null, null, null, null, null, null);
        var compiling = checker.Compile(new[] { "fsc" }.Concat(arguments).ToArray(), null);
        Tuple<FSharpErrorInfo[], int> ended =
            FSharpAsync.RunSynchronously<Tuple<FSharpErrorInfo[], int>>(compiling, null, null);
        foreach (var told in ended.Item1) {
            Console.Error.WriteLine(Line(told));
        }
        return ended.Item2;
    }

    static string Line(FSharpErrorInfo told) {
        var place = $"{told.FileName}({told.StartLineAlternate},{told.StartColumn + 1})";
        var kind = told.Severity.IsError ? "error" : "warning";
        return $"{place}: {kind} FS{told.ErrorNumber:0000}: {told.Message}";
    }
}
