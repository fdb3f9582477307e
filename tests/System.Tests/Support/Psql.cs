using System.Diagnostics;
using System.Globalization;

namespace Materialize.SystemTests.Support;

/// <summary>The real psql, as a user runs it.</summary>
internal static class Psql
{
    /// <summary>Output and errors together, in order, of a script on standard input.</summary>
    public static async Task<(string Output, int ExitCode)> RunAsync(EnvironmentProcess environment, string script, params string[] options)
    {
        var start = new ProcessStartInfo("psql", ["-X", "-h", "127.0.0.1", "-p", environment.SqlPort.ToString(CultureInfo.InvariantCulture), "-U", "materialize", .. options, "materialize"])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.StandardInput.WriteAsync(script);
        process.StandardInput.Close();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await process.WaitForExitAsync(patience.Token);
        return (await output + await errors, process.ExitCode);
    }
}
