using Materialize.Core.Rows;
using Materialize.Dataflow;

namespace Materialize.Micro.Operators;

/// <summary>An operator, or the few that make a thing of the language, over rows of a key and a value, and what must come out.</summary>
/// <param name="What">What the table says it does.</param>
/// <param name="Build">Adds the operators.</param>
/// <param name="Plain">The view of the rows that are there in the end, in plain C#.</param>
internal sealed record OperatorBenchmark(string Name, string What, Func<OperatorGraph, OperatorOutput> Build, Func<PlainRows, Check> Plain)
{
    public OperatorInput[] Inputs { get; init; } = [OperatorInput.Default];

    /// <summary>The first input is arranged in a dataflow of its own, and loaded, before; the benchmark's dataflow imports it.</summary>
    public bool Imports { get; init; }
}

/// <summary>Rows that come, and go in the order of their coming.</summary>
internal sealed record OperatorInput
{
    public static readonly OperatorInput Default = new();

    /// <summary>How many rows are there at a time, of so many that the benchmark is run with.</summary>
    public Func<long, long> Rows { get; init; } = n => n;

    /// <summary>Over how many keys, evenly.</summary>
    public Func<long, long> Keys { get; init; } = n => n / 10;

    /// <summary>Makes a value of 64 random bits and of what the benchmark is run with.</summary>
    public Func<ulong, long, ulong> Value { get; init; } = (random, _) => random;

    /// <summary>Whether rows come and go after the load.</summary>
    public bool Changes { get; init; } = true;

    public RowShape Shape { get; init; } = new(16);

    public Action<RowWriter, ulong, ulong> Write { get; init; } = OperatorRows.WritePair;
}

/// <summary>Where operators are added.</summary>
/// <param name="Inputs">The benchmark's, in order.</param>
/// <param name="Imported">The first one's arrangement by key, if <see cref="OperatorBenchmark.Imports"/>.</param>
/// <param name="Times">How many times there will be.</param>
internal sealed record OperatorGraph(Scope<Time> Scope, Stream<Time>[] Inputs, Arranged<Time>? Imported, ulong Times)
{
    public Stream<Time> Rows => Inputs[0];

    /// <summary>An input by its key.</summary>
    public Arranged<Time> ByKey(int input = 0) => Inputs[input].Arrange("by key", ColumnKernels.PairSplit, OperatorRows.Number, OperatorRows.Number).Arranged;
}

/// <summary>What comes out: rows, or an arrangement.</summary>
/// <param name="Read">Reads a row into columns for the check, and says how many; null: the row is 8-byte numbers.</param>
internal sealed record OperatorOutput(Stream<Time>? Rows, Arranged<Time>? Arranged, ReadColumns? Read)
{
    public static OperatorOutput Of(Stream<Time> rows, ReadColumns? read = null) => new(rows, null, read);

    public static OperatorOutput Of(Arranged<Time> arranged) => new(null, arranged, null);
}

/// <summary>Reads the row at an address.</summary>
internal delegate int ReadColumns(ReadOnlySpan<byte> row, Span<ulong> columns);

/// <summary>The rows of each input that are there when all is complete before <paramref name="Now"/> + 1.</summary>
internal sealed record PlainRows(List<(ulong Key, ulong Value)>[] Inputs, ulong Now)
{
    public List<(ulong Key, ulong Value)> Rows => Inputs[0];

    public IEnumerable<IGrouping<ulong, ulong>> Groups => Rows.GroupBy(r => r.Key, r => r.Value);

    /// <summary>A check of rows, once each.</summary>
    public static Check Of(IEnumerable<(ulong, ulong)> rows)
    {
        var check = default(Check);
        foreach (var (a, b) in rows)
            check.Add(1, a, b);
        return check;
    }
}
