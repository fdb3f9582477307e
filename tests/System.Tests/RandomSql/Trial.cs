using System.Globalization;
using System.Text;

namespace Materialize.SystemTests.RandomSql;

/// <summary>Where the two systems differed, and all that is needed to see it again.</summary>
internal sealed record Difference(string How, Query Query, Answer Expected, Answer Actual)
{
    public IReadOnlyList<string> Script { get; init; } = [];

    public override string ToString()
    {
        var text = new StringBuilder($"{How} differs\n");
        foreach (var statement in Script)
            text.Append(statement).Append(";\n");
        return text.Append(Query.Text).Append(";\n--- PostgreSQL\n").Append(Expected).Append("--- Materialize\n").Append(Actual).ToString();
    }
}

/// <summary>
/// The tables of one seed and random queries over them, asked of both systems: as they are, and as a materialized view and an indexed
/// view that were there before the rows changed.
/// </summary>
/// <param name="seed">Decides everything.</param>
/// <param name="asked">How many queries are asked without being kept as views, which takes far less time.</param>
/// <param name="kept">How many are kept as views.</param>
/// <param name="postgres">The oracle.</param>
/// <param name="materialize">What is tested.</param>
internal sealed partial class Trial(int seed, int asked, int kept, Side postgres, Side materialize)
{
    private const int Rounds = 3;
    private readonly RandomTables _tables = new(Choices.Random(seed));
    private int _schemas;

    /// <summary>Queries that were compared.</summary>
    public int Compared { get; private set; }

    /// <summary>Those of them that had rows.</summary>
    public int Answered { get; private set; }

    /// <summary>Queries that PostgreSQL did not answer: it does not know every FULL JOIN, and not everything ends in time.</summary>
    public int Skipped { get; private set; }

    /// <summary>Runs the seed, up to the first difference.</summary>
    public async Task<Difference?> RunAsync()
    {
        var history = await BeginAsync();
        var before = history.Count;
        var queries = new List<(List<int> Choices, Query Query)>();
        for (var i = 0; i < asked + kept; i++)
        {
            var choices = Choices.Random((seed * 1009) + i + 1);
            var query = new QueryGenerator(choices, _tables).Next();
            if (await AskAsync(query) is { } difference)
                return IsSlow(difference) ? difference with { Script = history } : await ShrinkAsync(choices.Made, difference);
            if (i >= kept)
                continue;
            if (await MaintainAsync(query, queries.Count) is { } refused)
                return IsSlow(refused) ? refused with { Script = history } : await ShrinkMaintainedAsync(choices.Made, refused, history, history.Count);
            queries.Add((choices.Made, query));
        }

        for (var round = 0; round < Rounds; round++)
        {
            var changes = _tables.Changes();
            history.AddRange(changes);
            await postgres.DoAsync(changes);
            await materialize.DoAsync(changes);
            for (var i = 0; i < queries.Count; i++)
            {
                var (choices, query) = queries[i];
                if (await AskAsync(query) is { } difference)
                    return IsSlow(difference) ? difference with { Script = history } : await ShrinkAsync(choices, difference);
                if (await LookAsync(query, i) is { } stale)
                    return IsSlow(stale) ? stale with { Script = history } : await ShrinkMaintainedAsync(choices, stale, history, before);
            }
        }

        return null;
    }

    private async Task<List<string>> BeginAsync()
    {
        var history = _tables.Tables.Select(t => t.Ddl).ToList();
        history.AddRange(_tables.FirstRows());
        await AnewAsync(history);
        return history;
    }

    private async Task AnewAsync(IReadOnlyList<string> history)
    {
        var schema = $"r{seed.ToString(CultureInfo.InvariantCulture)}_{_schemas++}";
        foreach (var side in (Side[])[postgres, materialize])
        {
            await side.EnterAsync(schema);
            await side.DoAsync(history);
        }
    }

    private async Task<Difference?> AskAsync(Query query)
    {
        var kinds = KindsOf(query);
        var expected = await postgres.AskAsync(query.PostgresText, kinds);
        if (expected is { Rows: null, State: "0A000" or "57014" })
        {
            Skipped++;
            return null;
        }

        Compared++;
        Answered += expected.Rows is { Length: > 0 } ? 1 : 0;
        var actual = await materialize.AskAsync(query.Text, kinds);
        if (expected.Rows is null)
            return new Difference("what PostgreSQL takes", query, expected, actual);
        return expected == actual ? null : new Difference("SELECT", query, expected, actual);
    }

    private async Task<Difference?> MaintainAsync(Query query, int number)
    {
        foreach (var statement in (string[])[$"CREATE MATERIALIZED VIEW q{number} AS {query.Text}", $"CREATE VIEW v{number} AS {query.Text}", $"CREATE DEFAULT INDEX ON v{number}"])
        {
            if (await materialize.TryAsync(statement) is { Rows: null } error)
                return new Difference("whether there can be a view", query, new Answer([], "", ""), error);
        }

        return await LookAsync(query, number);
    }

    private async Task<Difference?> LookAsync(Query query, int number)
    {
        var kinds = KindsOf(query);
        var expected = await postgres.AskAsync(query.PostgresText, kinds);
        if (expected.Rows is null)
            return null;
        var stored = await materialize.AskAsync($"SELECT * FROM q{number}", kinds);
        if (stored != expected)
            return new Difference("a materialized view", query, expected, stored);
        var indexed = await materialize.AskAsync($"SELECT * FROM v{number}", kinds);
        return indexed != expected ? new Difference("an indexed view", query, expected, indexed) : null;
    }

    /// <summary>Whether it is a time that ran out: looking for a simpler case would take as long many times over.</summary>
    private static bool IsSlow(Difference difference) => difference.Actual.State is "57014" or "connection";

    private static IReadOnlyList<Kind> KindsOf(Query query) => [.. query.Columns.Select(c => c.Kind)];
}
