using System.Text;
using Materialize.Adapter;
using Materialize.Repr;
using static Materialize.PgWire.Tests.WireClient;

namespace Materialize.PgWire.Tests;

public sealed class CopyConversationTests
{
    private static readonly RelationDesc Columns =
        RelationDesc.Of(("a", SqlType.Int32.Nullable(false)), ("b", SqlType.String.Nullable()));

    private readonly FakeAdapter _adapter = new();
    private FakeTarget _target = new();

    public CopyConversationTests()
    {
        var options = new CopyInOptions(CopyFormat.Text, '\t', "\\N", '"', '"', false);
        _adapter.On("COPY IN", () => new ExecuteResponse.CopyIn(Columns, options, _target = new FakeTarget()));
        _adapter.On("COPY OUT", () => new ExecuteResponse.CopyOut(Columns, new FakeRows(Columns, "1\tx\\ty\n2\t\\N\n"), CopyFormat.Text));
        _adapter.On("COPY CSV", () => new ExecuteResponse.CopyOut(Columns, new FakeRows(Columns, "1\ta,b\n2\t\\N\n3\t\n"), CopyFormat.Csv));
        _adapter.On("COPY BINARY", () => new ExecuteResponse.CopyOut(Columns, new FakeRows(Columns, "1\tx\n2\t\\N\n"), CopyFormat.Binary));
    }

    [Fact]
    public async Task Copy_data_may_be_split_anywhere()
    {
        await using var client = await ConnectAsync(_adapter);
        const string data = "1\tone\n2\t\\N\n3\tza\\nhl ü\n";
        var bytes = Encoding.UTF8.GetBytes(data);
        for (var split = 0; split <= bytes.Length; split++)
        {
            var at = split;
            Assert.Equal(
                ["G 0 2", "C COPY 3", "Z I"],
                await client.AskAsync(
                    Query("COPY IN"), Message('d', b => b.Write(bytes.AsSpan(0, at))), Message('d', b => b.Write(bytes.AsSpan(at))), CopyDone()));
            Assert.Equal(data, CopyText.Encode(Columns, _target.Rows));
        }
    }

    [Fact]
    public async Task Copy_works_in_the_extended_protocol_with_a_sync_sent_too_early()
    {
        await using var client = await ConnectAsync(_adapter);
        await client.SendAsync(Parse("", "COPY IN"), Bind("", ""), Execute(""), Sync());
        Assert.Equal(["1", "2", "G 0 2"], [await client.ReadAsync(), await client.ReadAsync(), await client.ReadAsync()]);
        Assert.Equal(["C COPY 1", "Z I"], await client.AskAsync(CopyData("1\tx"), Message('H'), CopyDone(), Sync()));
        Assert.True(_target.IsComplete);
    }

    [Fact]
    public async Task A_client_may_give_up()
    {
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(
            ["G 0 2", "E ERROR 57014 COPY from stdin failed: no more", "Z I"],
            await client.AskAsync(Query("COPY IN"), CopyData("1\tx\n"), CopyFail("no more")));
        Assert.True(_target.IsAborted && !_target.IsComplete);
    }

    [Fact]
    public async Task Bad_data_fails_while_the_client_still_streams()
    {
        await using var client = await ConnectAsync(_adapter);
        var late = Enumerable.Repeat(CopyData("2\tlate\n"), 100).ToArray();
        Assert.Equal(
            ["G 0 2", "E ERROR 22P04 missing data for column \"b\" D:COPY line 2", "Z I"],
            await client.AskAsync([Query("COPY IN"), CopyData("1\tx\n1\nrest of this message"), .. late, CopyDone()]));
        Assert.True(_target.IsAborted);
        Assert.Equal(["G 0 2", "C COPY 1", "Z I"], await client.AskAsync(Query("COPY IN"), CopyData("1\tx\n"), CopyDone()));

        Assert.Equal(
            ["1", "2", "G 0 2", "E ERROR 22P04 extra data after last expected column D:COPY line 1", "Z I"],
            await client.AskAsync([Parse("", "COPY IN"), Bind("", ""), Execute(""), CopyData("1\tx\ty\n"), .. late, CopyDone(), Sync()]));
    }

    [Fact]
    public async Task Nothing_is_written_when_the_client_vanishes()
    {
        var client = await ConnectAsync(_adapter);
        await client.SendAsync(Query("COPY IN"), CopyData("1\tx\n"));
        Assert.Equal("G 0 2", await client.ReadAsync());
        await client.DisposeAsync();
        Assert.True(_target.IsAborted && !_target.IsComplete);
        Assert.Equal(0, _adapter.OpenSessions);
    }

    [Fact]
    public async Task Copy_out_in_each_format()
    {
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(["H 0 2", "d 1\tx\\ty\n", "d 2\t\\N\n", "c", "C COPY 2", "Z I"], await client.AskAsync(Query("COPY OUT")));
        Assert.Equal(["H 0 2", "d 1,\"a,b\"\n", "d 2,\n", "d 3,\"\"\n", "c", "C COPY 3", "Z I"], await client.AskAsync(Query("COPY CSV")));
        Assert.Equal(
            [
                "H 1 2", "d PGCOPY\n\u00ff\r\n\0\0\0\0\0\0\0\0\0", "d \0\u0002\0\0\0\u0004\0\0\0\u0001\0\0\0\u0001x",
                "d \0\u0002\0\0\0\u0004\0\0\0\u0002\u00ff\u00ff\u00ff\u00ff", "d \u00ff\u00ff", "c", "C COPY 2", "Z I",
            ],
            await client.AskAsync(Query("COPY BINARY")));
    }
}
