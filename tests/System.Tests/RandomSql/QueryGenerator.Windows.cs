namespace Materialize.SystemTests.RandomSql;

/// <summary>Window functions whose values do not depend on how peers are ordered.</summary>
internal sealed partial class QueryGenerator
{
    private Ex Windowed(Kind kind, Scope scope)
    {
        var partition = _choices.Chance(60) ? $"PARTITION BY {Scalar(SomeKind(scope), scope, 1)}" : "";
        var by = Scalar(SomeOrderedKind(scope), scope, 1);
        var order = $"ORDER BY {by}{_choices.Of("", " DESC", " NULLS FIRST")}";
        var value = Scalar(kind, scope, 1);
        var self = $"ORDER BY {value}{_choices.Of("", " DESC", " NULLS FIRST")}";
        // What a peer's neighbour is would depend on the order of peers: rows alike in all columns are no matter.
        var isTotal = scope.Atoms.All(a => a.Kind != Kind.Jsonb);
        var total = $"{self}, {string.Join(", ", scope.Atoms.Select(a => a.Ex.Text))}";
        switch (_choices.Next(5), kind)
        {
            case (0 or 1, Kind.Int8):
                return new Ex($"{_choices.Of("rank()", "dense_rank()", "count(*)", $"count({by})")} OVER ({partition} {order})", kind, 1e6);
            case (2, Kind.Int8):
                var term = Leaf(Kind.Int4, scope);
                return new Ex($"sum({term}) OVER ({partition} {_choices.Of("", order)})", kind, term.Bound * 100);
            case (0, not Kind.Bool):
                return value with { Text = $"{_choices.Of("min", "max")}({value}) OVER ({partition} {_choices.Of("", order)})" };
            case (1, _) when isTotal:
                return value with { Text = $"{_choices.Of("lag", "lead")}({value}{_choices.Of("", ", 2")}) OVER ({partition} {total})" };
            default:
                return value with { Text = $"{_choices.Of("first_value", "last_value")}({value}) OVER ({partition} {self})" };
            case (3 or 4, _) when isTotal:
                return value with { Text = $"lag({value}, 1, {Leaf(kind, scope)}) OVER ({partition} {total})", Bound = Math.Max(value.Bound, Kinds.MostStored(kind)) };
        }
    }
}
