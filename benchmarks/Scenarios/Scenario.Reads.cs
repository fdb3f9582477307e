using Npgsql;

namespace Materialize.Scenarios;

/// <summary>SELECT 1 and point reads of an index, prepared.</summary>
internal static class ReadScenarios
{
    public static async Task<IEnumerable<Figure>> RunAsync(SystemUnderTest system, Sizes sizes)
    {
        await using (var setup = await system.ConnectAsync())
        {
            await ExecuteAsync(setup, "CREATE TABLE points (id int8, v int8, s text)");
            await ExecuteAsync(setup, $"INSERT INTO points SELECT g, g * 7, 'row ' || g FROM generate_series(1, {sizes.PointRows}) g");
            await ExecuteAsync(setup, "CREATE INDEX points_id ON points (id)");
        }

        var figures = new List<Figure>();
        foreach (var connections in new[] { 1, 16 })
        {
            var one = Measure(system, connections, sizes, "SELECT 1", hasParameter: false, column: 0, (_, answer) => answer == 1);
            var point = Measure(
                system, connections, sizes, "SELECT id, v, s FROM points WHERE id = $1", hasParameter: true, column: 1, (id, answer) => answer == id * 7);
            figures.Add(new Figure($"SELECT 1, {connections} connections", Load.PerSecond(one.Rate), $"{one.Latencies}; {one.Cost}"));
            figures.Add(new Figure(
                $"point SELECT, {connections} connections",
                Load.PerSecond(point.Rate),
                $"{point.Latencies}; {point.Rate / one.Rate:0.00} of SELECT 1; {point.Cost}"));
        }

        return figures;
    }

    private static (double Rate, Latencies Latencies, string Cost) Measure(
        SystemUnderTest system, int connections, Sizes sizes, string sql, bool hasParameter, int column, Func<long, long, bool> check)
    {
        var server = new NpgsqlConnectionStringBuilder(system.ConnectionString);
        using var reads = new PreparedReads(server.Host!, server.Port, connections, sql, hasParameter);
        long Parameter(int connection, int operation) => 1 + (((connection * 7919L) + (operation * 104_729L)) % sizes.PointRows);
        reads.Run(sizes.WarmUp, Parameter, column, check);
        var before = system.ProcessorTime();
        var (rate, latencies) = reads.Run(sizes.Duration, Parameter, column, check);
        var after = system.ProcessorTime();
        double Each(TimeSpan from, TimeSpan to) => (to - from).TotalMicroseconds / latencies.Count;
        var cost = string.Create(
            System.Globalization.CultureInfo.InvariantCulture,
            $"CPU µs each: client {Each(before.Client, after.Client):0}, environmentd {Each(before.Environmentd, after.Environmentd):0}, clusterds {Each(before.Clusterds, after.Clusterds):0}");
        return (rate, latencies, cost);
    }

    public static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
