using Materialize.Expr;

namespace Materialize.Optimizer.Tests;

/// <summary>Round after round, until one changes nothing or the limit is reached.</summary>
internal static class Rounds
{
    public static Multiset Run(int bindings, RecursionLimit? limit, Func<int, Multiset> value, Action<int, Multiset> define, Func<Multiset> body)
    {
        var current = Enumerable.Repeat("", bindings).ToArray();
        for (var i = 0; i < bindings; i++)
            define(i, new Multiset());
        for (var round = 0; round < (limit?.RoundsMax ?? 1000); round++)
        {
            var changed = false;
            for (var i = 0; i < bindings; i++)
            {
                var rows = value(i);
                define(i, rows);
                changed |= rows.ToString() != current[i];
                current[i] = rows.ToString();
            }

            if (!changed)
                break;
        }

        return body();
    }
}
