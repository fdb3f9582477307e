using System.Globalization;

namespace Materialize.Micro;

/// <summary>A workload with its sizes, as the command line and the tables write it: <c>count 10000000 1000000 1000 200 workers=2</c>.</summary>
/// <param name="BudgetMb">Memory for state; the rest lies in scratch files. Null: no limit.</param>
internal sealed record RunSpec(string Name, IReadOnlyList<long> Sizes, int Workers = 1, long? BudgetMb = null)
{
    /// <exception cref="UsageException">It names no workload, or not its sizes.</exception>
    public static RunSpec Parse(string text)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var spec = new RunSpec(words[0], []);
        foreach (var word in words[1..])
        {
            spec = word.Split('=') switch
            {
                ["workers", var value] => spec with { Workers = (int)Number(value) },
                ["budget", var value] => spec with { BudgetMb = Number(value) },
                [var value] => spec with { Sizes = [.. spec.Sizes, Number(value)] },
                _ => throw new UsageException($"{word} is no option of a workload; there are workers=N and budget=MB"),
            };
        }

        Catalogue.CheckSizes(spec);
        return spec;

        long Number(string value) => long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw new UsageException($"{value} is no size: {Catalogue.Usage(spec.Name)}");
    }

    public override string ToString() =>
        string.Join(' ', [Name, .. Sizes, .. (string[])(Workers == 1 ? [] : [$"workers={Workers}"]), .. (string[])(BudgetMb is null ? [] : [$"budget={BudgetMb}"])]);
}

/// <summary>The command line says something that does not exist: the message is for its writer.</summary>
internal sealed class UsageException(string message) : Exception(message);
