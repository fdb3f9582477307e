using Npgsql;
using NpgsqlTypes;

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
            var one = await MeasureAsync(system, connections, sizes, "SELECT 1", null);
            var point = await MeasureAsync(system, connections, sizes, "SELECT id, v, s FROM points WHERE id = $1", sizes.PointRows);
            figures.Add(new Figure($"SELECT 1, {connections} connections", Load.PerSecond(one.Rate), $"{one.Latencies}; {one.Cost}"));
            figures.Add(new Figure(
                $"point SELECT, {connections} connections",
                Load.PerSecond(point.Rate),
                $"{point.Latencies}; {point.Rate / one.Rate:0.00} of SELECT 1; {point.Cost}"));
        }

        return figures;
    }

    private static async Task<(double Rate, Latencies Latencies, string Cost)> MeasureAsync(SystemUnderTest system, int connections, Sizes sizes, string sql, int? rows)
    {
        var open = new List<(NpgsqlConnection Connection, NpgsqlCommand Command)>();
        try
        {
            for (var i = 0; i < connections; i++)
            {
                var connection = await system.ConnectAsync();
                var command = new NpgsqlCommand(sql, connection);
                if (rows is not null)
                    command.Parameters.Add(new NpgsqlParameter<long> { NpgsqlDbType = NpgsqlDbType.Bigint });
                await command.PrepareAsync();
                open.Add((connection, command));
            }

            async Task OneAsync(int connection, int operation)
            {
                var command = open[connection].Command;
                var id = 0L;
                if (rows is { } n)
                {
                    id = 1 + ((connection * 7919L) + (operation * 104_729L)) % n;
                    ((NpgsqlParameter<long>)command.Parameters[0]).TypedValue = id;
                }

                await using var reader = await command.ExecuteReaderAsync();
                if (!await reader.ReadAsync() || (rows is null ? reader.GetInt32(0) != 1 : reader.GetInt64(1) != id * 7))
                    throw new InvalidOperationException($"{sql} gave a wrong answer for {id}");
            }

            await Load.RunAsync(connections, sizes.WarmUp, OneAsync);
            var before = system.ProcessorTime();
            var (rate, latencies) = await Load.RunAsync(connections, sizes.Duration, OneAsync);
            var after = system.ProcessorTime();
            double Each(TimeSpan from, TimeSpan to) => (to - from).TotalMicroseconds / latencies.Count;
            var cost = string.Create(
                System.Globalization.CultureInfo.InvariantCulture,
                $"CPU µs each: client {Each(before.Client, after.Client):0}, environmentd {Each(before.Environmentd, after.Environmentd):0}, clusterds {Each(before.Clusterds, after.Clusterds):0}");
            return (rate, latencies, cost);
        }
        finally
        {
            foreach (var (connection, command) in open)
            {
                await command.DisposeAsync();
                await connection.DisposeAsync();
            }
        }
    }

    public static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
