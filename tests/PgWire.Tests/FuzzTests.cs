using Materialize.Adapter;
using Materialize.Repr;
using static Materialize.PgWire.Tests.WireClient;

namespace Materialize.PgWire.Tests;

/// <summary>
/// Whatever bytes come, the connection ends in order: no unforeseen exception, no session left, no hang. Each case is a function
/// of its seed.
/// </summary>
public sealed class FuzzTests
{
    private static readonly RelationDesc Columns = RelationDesc.Of(("a", SqlType.Int32.Nullable()), ("b", SqlType.String.Nullable()));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Random_bytes_never_break_the_server(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 150; round++)
        {
            var bytes = new byte[random.Next(200)];
            random.NextBytes(bytes);
            if (bytes.Length > 8 && random.Next(2) == 0)
                new byte[] { 0, 0, 0, (byte)random.Next(bytes.Length + 4), 0, 3, 0, 0 }.CopyTo(bytes, 0);
            await SurvivesAsync(bytes, startUp: random.Next(2) == 0, $"seed {seed}, round {round}");
        }
    }

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    [InlineData(14)]
    public async Task Mutilated_conversations_never_break_the_server(int seed)
    {
        var random = new Random(seed);
        for (var round = 0; round < 250; round++)
        {
            var bytes = Conversation(random);
            for (var hits = random.Next(4); hits > 0; hits--)
            {
                var at = random.Next(bytes.Length);
                bytes = random.Next(4) switch
                {
                    0 => bytes[..at],
                    1 => [.. bytes[..at], .. bytes[Math.Min(at + random.Next(8), bytes.Length)..]],
                    2 => [.. bytes[..at], (byte)random.Next(256), .. bytes[at..]],
                    _ => [.. bytes[..at], (byte)random.Next(256), .. bytes[(at + 1)..]],
                };
                if (bytes.Length == 0)
                    break;
            }

            await SurvivesAsync(bytes, startUp: true, $"seed {seed}, round {round}");
        }
    }

    private static byte[] Conversation(Random random)
    {
        var messages = new List<byte[]>();
        for (var n = random.Next(1, 12); n > 0; n--)
        {
            messages.Add(random.Next(14) switch
            {
                0 => Query("SELECT"),
                1 => Query("SELECT; NO; SELECT"),
                2 => Parse("s", "SELECT", 23),
                3 => Parse("", "PARAMS", 23, 25),
                4 => Bind("", "", [0, 1], [[(byte)'1'], [(byte)'x'], [0xff, 0, 1]], [1]),
                5 => Bind("p", "s"),
                6 => Describe('S', "s"),
                7 => Describe('P', "p"),
                8 => Execute("p", 1),
                9 => Close('P', "p"),
                10 => Query("COPY IN"),
                11 => CopyData("1\tx\n\\N\ty\n\\."),
                12 => CopyDone(),
                _ => Sync(),
            });
        }

        messages.Add(Sync());
        return [.. messages.SelectMany(m => m)];
    }

    private static async Task SurvivesAsync(byte[] bytes, bool startUp, string what)
    {
        var adapter = new FakeAdapter();
        adapter.OnRows("SELECT", Columns, "1\ta\n2\t\\N\n3\tc\n");
        adapter.Descriptions["SELECT"] = new PreparedDescription([], Columns, false);
        adapter.On("PARAMS", () => new ExecuteResponse.Completed("PARAMS"));
        adapter.Descriptions["PARAMS"] = new PreparedDescription([SqlType.Int32, SqlType.String, SqlType.Bytes], null, false);
        adapter.On("COPY IN", () => new ExecuteResponse.CopyIn(Columns, new CopyInOptions(CopyFormat.Text, '\t', "\\N", '"', '"', false), new FakeTarget()));
        var client = startUp ? await ConnectAsync(adapter) : new WireClient(adapter);
        await client.SendAsync(bytes);
        client.StopSending();
        await client.Running.WaitAsync(TimeSpan.FromSeconds(20));
        await client.DisposeAsync();
        Assert.True(client.Logger.Errors.Count == 0, $"{what}: {string.Join("; ", client.Logger.Errors)}");
        Assert.Equal(0, adapter.OpenSessions);
    }
}
