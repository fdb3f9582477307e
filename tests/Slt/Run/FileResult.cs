namespace Materialize.Slt.Run;

/// <summary>Passes, failures and skips of one kind of record.</summary>
public sealed record Tally(int Pass, int Fail, int Skip)
{
    public static readonly Tally Zero = new(0, 0, 0);

    public int Total => Pass + Fail + Skip;

    public static Tally operator +(Tally a, Tally b) => new(a.Pass + b.Pass, a.Fail + b.Fail, a.Skip + b.Skip);
}

/// <summary>A record or check that failed.</summary>
public sealed record Failure(int Line, string Kind, string Reason, string Sql, string? Detail);

/// <summary>What came of one file.</summary>
public sealed record FileResult(string File)
{
    public SortedDictionary<string, Tally> Kinds { get; } = new(StringComparer.Ordinal);

    public List<Failure> Failures { get; } = [];

    /// <summary>Passes before the first failed statement that should have succeeded.</summary>
    public int StrictPass { get; set; }

    public double Seconds { get; set; }

    public Tally Total => Kinds.Values.Aggregate(Tally.Zero, (a, b) => a + b);

    public void Count(string kind, Tally one) => Kinds[kind] = Kinds.GetValueOrDefault(kind, Tally.Zero) + one;
}
