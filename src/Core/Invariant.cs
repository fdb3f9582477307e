using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Materialize.Core;

/// <summary>
/// A cheap check that is always on, at boundaries: what is written, what is read back, each frontier that must not go back.
/// A violation is our bug; the process stops, because a restart is safer than a wrong answer.
/// </summary>
public static class Invariant
{
    public static void Check(
        [DoesNotReturnIf(false)] bool condition, string message, [CallerFilePath] string file = "", [CallerLineNumber] int line = 0)
    {
        if (!condition)
            Fail(message, file, line);
    }

    [DoesNotReturn]
    private static void Fail(string message, string file, int line) =>
        throw new InvariantViolationException($"{message} ({Path.GetFileName(file)}:{line})");
}

/// <summary>An internal invariant does not hold. Never caught but at a process's root.</summary>
public sealed class InvariantViolationException(string message) : Exception(message);
