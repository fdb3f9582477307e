using System.Diagnostics;

namespace Materialize.SystemTests.RandomSql;

/// <summary>From a difference to the simplest one that is like it.</summary>
internal sealed partial class Trial
{
    private const int SelectAttempts = 400;
    private const int ViewAttempts = 60;

    // A simpler case may take many times as long: after this the simplest so far must do.
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(2);

    /// <summary>The simplest query, over the fewest rows, that still differs.</summary>
    private async Task<Difference> ShrinkAsync(List<int> choices, Difference difference)
    {
        var smallest = difference;
        var clock = Stopwatch.StartNew();
        await Choices.ShrinkAsync(choices, SelectAttempts, async given =>
        {
            var replay = Choices.Replay(given);
            var query = new QueryGenerator(replay, _tables).Next();
            if (clock.Elapsed > Longest || await AskAsync(query) is not { } found || !IsLike(found, difference))
                return null;
            smallest = found;
            return replay.Made;
        });

        var rows = new List<string>();
        foreach (var table in _tables.Tables)
            rows.AddRange(await InsertsAsync(table));
        foreach (var row in rows.ToList())
        {
            if (clock.Elapsed > 2 * Longest)
                break;
            var fewer = rows.Where(r => !ReferenceEquals(r, row)).ToList();
            await AnewAsync([.. _tables.Tables.Select(t => t.Ddl), .. fewer]);
            if (await AskAsync(smallest.Query) is not { } found || !IsLike(found, difference))
                continue;
            rows = fewer;
            smallest = found;
        }

        return smallest with { Script = [.. _tables.Tables.Select(t => t.Ddl), .. rows] };
    }

    /// <summary>The simplest query and the fewest changes with which a view still differs.</summary>
    /// <param name="choices">What made the query.</param>
    /// <param name="difference">What was seen.</param>
    /// <param name="history">All statements so far.</param>
    /// <param name="before">How many of them come before the view.</param>
    private async Task<Difference> ShrinkMaintainedAsync(List<int> choices, Difference difference, List<string> history, int before)
    {
        var smallest = difference with { Script = Script(history, before) };
        var clock = Stopwatch.StartNew();
        await Choices.ShrinkAsync(choices, ViewAttempts, async given =>
        {
            var replay = Choices.Replay(given);
            if (clock.Elapsed > Longest || await ReplayAsync(new QueryGenerator(replay, _tables).Next(), history, before) is not { } found || !IsLike(found, difference))
                return null;
            smallest = found with { Script = Script(history, before) };
            return replay.Made;
        });

        for (var at = history.Count - 1; at >= _tables.Tables.Count && clock.Elapsed < 2 * Longest; at--)
        {
            List<string> fewer = [.. history.Take(at), .. history.Skip(at + 1)];
            var begin = at < before ? before - 1 : before;
            if (await ReplayAsync(smallest.Query, fewer, begin) is not { } found || !IsLike(found, difference))
                continue;
            (history, before) = (fewer, begin);
            smallest = found with { Script = Script(history, before) };
        }

        return smallest;
    }

    private async Task<Difference?> ReplayAsync(Query query, List<string> history, int before)
    {
        await AnewAsync(history.Take(before).ToList());
        if (await MaintainAsync(query, 0) is { } early)
            return early;
        foreach (var change in history.Skip(before))
        {
            await postgres.DoAsync(change);
            await materialize.DoAsync(change);
            if (await LookAsync(query, 0) is { } difference)
                return difference;
        }

        return null;
    }

    private static List<string> Script(List<string> history, int before) => [.. history.Take(before), "-- here the view is made", .. history.Skip(before)];

    private static bool IsLike(Difference one, Difference other) =>
        one.How == other.How && one.Actual.State == other.Actual.State && (one.Expected.Rows is null) == (other.Expected.Rows is null);

    private async Task<IEnumerable<string>> InsertsAsync(RandomTable table)
    {
        var values = string.Join(" || ', ' || ", table.Columns.Select(c => $"quote_nullable({c.Name}::text) || '::{c.Type}'"));
        var rows = await postgres.AskAsync($"SELECT {values} FROM {table.Name}", [Kind.Text]);
        return rows.Rows!.Select(row => $"INSERT INTO {table.Name} VALUES ({row})");
    }
}
