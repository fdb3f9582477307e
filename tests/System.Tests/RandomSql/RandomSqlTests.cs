using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Materialize.SystemTests.RandomSql;

/// <summary>
/// Random SQL over random small tables, answered as PostgreSQL 15 answers it: asked once, kept as a materialized view, and kept as an
/// index, while rows come, change and go. A failure prints its seed, the statements and the query, made as small as it still fails;
/// SEEDS=n runs n seeds, FIRST_SEED=s begins at s, KEPT and ASKED say how many queries of a seed are views or only asked, ALL=1 goes on
/// after a failure, SECONDS_MAX=s begins no seed after that time, and SLOW_MS=n prints each statement of ours that takes so long.
/// </summary>
public sealed class RandomSqlTests(SharedServer server)
{
    private const int FirstUsually = 4000;
    private const int SeedsUsually = 6;

    [Fact]
    public async Task Random_queries_answer_as_postgres_does_asked_and_maintained()
    {
        await using var upstream = await PostgresUpstream.StartAsync();
        await using (var sql = await upstream.OpenAsync())
            await sql.DoAsync("CREATE DATABASE oracle TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'");
        await using var postgres = new Side(async () => (await upstream.OpenAsync("oracle")).Connection, "SET jit = off; SET statement_timeout = '3s'");
        await using var materialize = new Side(() => server.Environment.ConnectAsync(), "SET statement_timeout = '20s'", Number("SLOW_MS", int.MaxValue));
        var failures = new StringBuilder();
        var (compared, answered, skipped, failed) = (0, 0, 0, 0);
        var (first, seeds) = (Number("FIRST_SEED", FirstUsually), Number("SEEDS", SeedsUsually));
        var most = Number("SECONDS_MAX", int.MaxValue);
        var clock = Stopwatch.StartNew();
        for (var seed = first; seed < first + seeds && clock.Elapsed.TotalSeconds < most; seed++)
        {
            if (Number("ALL", 0) != 0)
                await Console.Error.WriteAsync($"{seed} ");
            var trial = new Trial(seed, Number("ASKED", 5), Number("KEPT", 4), postgres, materialize);
            if (await trial.RunAsync() is { } difference)
            {
                failures.Append(CultureInfo.InvariantCulture, $"\nseed {seed}: {difference}");
                failed++;
                if (Number("ALL", 0) == 0)
                    break;
                await Console.Error.WriteLineAsync($"\nseed {seed}: {difference}");
            }

            compared += trial.Compared;
            answered += trial.Answered;
            skipped += trial.Skipped;
        }

        var counts = $"{compared} comparisons, {answered} with rows, {skipped} skipped, {failed} seeds failed";
        if (Number("ALL", 0) != 0)
            await Console.Error.WriteLineAsync(counts);
        Assert.True(failed == 0, failures.ToString());
        Assert.True(skipped * 10 <= compared && answered * 4 >= compared, $"too little is compared: {counts}");
    }

    private static int Number(string variable, int otherwise) =>
        Environment.GetEnvironmentVariable(variable) is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : otherwise;
}
