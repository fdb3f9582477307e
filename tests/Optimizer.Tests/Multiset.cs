using System.Globalization;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Optimizer.Tests;

/// <summary>Rows with multiplicities; rows of multiplicity zero are absent. Equality of datums is by their text.</summary>
public sealed class Multiset
{
    private readonly Dictionary<string, (Datum[] Row, long Diff)> _rows = [];

    public IEnumerable<(Datum[] Row, long Diff)> Rows => _rows.Values;

    public static string Key(IEnumerable<Datum> row) => string.Join(",", row.Select(Text));

    public void Add(Datum[] row, long diff)
    {
        var key = Key(row);
        var sum = (_rows.TryGetValue(key, out var old) ? old.Diff : 0) + diff;
        if (sum == 0)
            _rows.Remove(key);
        else
            _rows[key] = (row, sum);
    }

    public override string ToString() =>
        string.Join(" ", _rows.OrderBy(r => r.Key, StringComparer.Ordinal).Select(r => r.Value.Diff == 1 ? $"({r.Key})" : $"({r.Key})x{r.Value.Diff}"));

    private static string Text(Datum d) => d.IsNull ? "null" : d.AsInt64.ToString(CultureInfo.InvariantCulture);
}
