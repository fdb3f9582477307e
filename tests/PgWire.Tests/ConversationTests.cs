using Materialize.Adapter;
using Materialize.Repr;
using static Materialize.PgWire.Tests.WireClient;

namespace Materialize.PgWire.Tests;

/// <summary>Scripted bytes both ways: what PostgreSQL 15 answers to the same messages.</summary>
public sealed class ConversationTests
{
    private static readonly RelationDesc TwoColumns =
        RelationDesc.Of(("a", SqlType.Int32.Nullable()), ("b", SqlType.String.Nullable()));

    private readonly FakeAdapter _adapter = new();

    public ConversationTests()
    {
        _adapter.OnRows("SELECT", TwoColumns, "1\tone\n2\t\\N\n3\tthree\n");
        _adapter.Descriptions["SELECT"] = new PreparedDescription([], TwoColumns, false);
        _adapter.On("INSERT", () => new ExecuteResponse.Completed("INSERT 0 1"));
    }

    [Fact]
    public async Task A_simple_query_runs_all_its_statements()
    {
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(
            ["C INSERT 0 1", "T a:23:4:-1:0|b:25:-1:-1:0", "D 1|one", "D 2|NULL", "D 3|three", "C SELECT 3", "Z I"],
            await client.AskAsync(Query("INSERT; SELECT")));
        Assert.Equal([false], _adapter.Session!.Ends);
    }

    [Fact]
    public async Task An_error_ends_the_rest_of_a_simple_query()
    {
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(
            ["C INSERT 0 1", "E ERROR XX000 no such statement: NO D:A detail. H:A hint.", "Z I"],
            await client.AskAsync(Query("INSERT; NO; INSERT")));
        Assert.Equal([true], _adapter.Session!.Ends);
        Assert.Equal(["E ERROR 42601 Expected a statement P:3", "Z I"], await client.AskAsync(Query("syntax error")));
    }

    [Fact]
    public async Task Transaction_state_shows_in_ready_for_query()
    {
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(["C BEGIN", "Z T"], await client.AskAsync(Query("BEGIN")));
        Assert.Equal("Z E", (await client.AskAsync(Query("NO")))[^1]);
        Assert.Equal(["E ERROR 25P02 current transaction is aborted", "Z E"], await client.AskAsync(Query("INSERT")));
        Assert.Equal(["C ROLLBACK", "Z I"], await client.AskAsync(Query("ROLLBACK")));
    }

    [Fact]
    public async Task An_empty_query_is_answered_as_such()
    {
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(["I", "Z I"], await client.AskAsync(Query(" ; ")));
        Assert.Equal(["1", "2", "n", "I", "Z I"], await client.AskAsync(Parse("", ""), Bind("", ""), Describe('P', ""), Execute(""), Sync()));
    }

    [Fact]
    public async Task Notices_come_before_completion_and_changed_parameters_before_ready()
    {
        await using var client = await ConnectAsync(_adapter);
        _adapter.On("NOISE", () =>
        {
            _adapter.Session!.Notices.Enqueue(new ErrorReport("NOTICE", "00000", "hear, hear"));
            _adapter.Session.Changes.Enqueue(new("application_name", "x"));
            return new ExecuteResponse.Completed("SET");
        });
        Assert.Equal(["N NOTICE 00000 hear, hear", "C SET", "S application_name=x", "Z I"], await client.AskAsync(Query("NOISE")));
    }

    [Fact]
    public async Task Extended_messages_can_be_pipelined()
    {
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(
            ["1", "t ", "T a:23:4:-1:0|b:25:-1:-1:0", "2", "T a:23:4:-1:1|b:25:-1:-1:0", "D \0\0\0\u0001|one", "D \0\0\0\u0002|NULL", "D \0\0\0\u0003|three", "C SELECT 3", "3", "Z I"],
            await client.AskAsync(
                Parse("s", "SELECT"), Describe('S', "s"), Bind("p", "s", resultFormats: [1, 0]), Describe('P', "p"), Execute("p"), Close('S', "s"), Sync()));
    }

    [Fact]
    public async Task A_flush_sends_what_is_ready()
    {
        await using var client = await ConnectAsync(_adapter);
        await client.SendAsync(Parse("", "SELECT"), Message('H'));
        Assert.Equal("1", await client.ReadAsync());
    }

    [Fact]
    public async Task An_extended_error_skips_to_sync()
    {
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(
            ["E ERROR 26000 prepared statement \"none\" does not exist", "Z I"],
            await client.AskAsync(Bind("", "none"), Execute(""), Query("INSERT"), Parse("", "INSERT"), Sync()));
        Assert.Equal(["1", "2", "C INSERT 0 1", "Z I"], await client.AskAsync(Parse("", "INSERT"), Bind("", ""), Execute(""), Sync()));
        Assert.Equal([true, false], _adapter.Session!.Ends);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task A_row_limit_suspends_the_portal(int maxRows)
    {
        await using var client = await ConnectAsync(_adapter);
        await client.AskAsync(Query("BEGIN"));
        var got = await client.AskAsync(Parse("s", "SELECT"), Bind("p", "s"), Sync());
        Assert.Equal(["1", "2", "Z T"], got);
        var rows = new List<string>();
        List<string> round;
        do
        {
            round = await client.AskAsync(Execute("p", maxRows), Sync());
            var sent = round.Where(l => l[0] == 'D').ToList();
            Assert.True(sent.Count <= maxRows);
            Assert.Equal(sent.Count == maxRows ? "s" : $"C SELECT {sent.Count}", round[^2]);
            rows.AddRange(sent);
        }
        while (round[^2] == "s");
        Assert.Equal(["D 1|one", "D 2|NULL", "D 3|three"], rows);
    }

    [Fact]
    public async Task The_end_of_the_transaction_disposes_suspended_results()
    {
        FakeRows? source = null;
        _adapter.On("MANY", () => new ExecuteResponse.Rows(TwoColumns, source = new FakeRows(TwoColumns, "1\ta\n2\tb\n"), "SELECT"));
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(["1", "2", "D 1|a", "s", "Z I"], await client.AskAsync(Parse("", "MANY"), Bind("", ""), Execute("", 1), Sync()));
        Assert.True(source!.IsDisposed);
    }

    [Fact]
    public async Task A_result_that_fails_half_way_is_disposed()
    {
        var source = new GatedRows(TwoColumns);
        _adapter.On("BAD", () => new ExecuteResponse.Rows(TwoColumns, source, "SELECT"));
        await using var client = await ConnectAsync(_adapter);
        await client.SendAsync(Query("BAD"));
        Assert.StartsWith("T ", await client.ReadAsync(), StringComparison.Ordinal);
        source.Fail(new AdapterException(new ErrorReport("ERROR", "XX000", "division by zero")));
        Assert.Equal(["E ERROR XX000 division by zero", "Z I"], await client.UntilReadyAsync());
        Assert.True(source.IsDisposed);
    }

    [Fact]
    public async Task Rows_that_are_ready_are_sent_while_more_are_awaited()
    {
        var source = new GatedRows(TwoColumns);
        _adapter.On("SUBSCRIBE", () => new ExecuteResponse.Rows(TwoColumns, source, "SUBSCRIBE"));
        await using var client = await ConnectAsync(_adapter);
        await client.SendAsync(Query("SUBSCRIBE"));
        Assert.StartsWith("T ", await client.ReadAsync(), StringComparison.Ordinal);
        source.Give(CopyText.PageOf(CopyText.Decode(TwoColumns, "1\ta\n")));
        Assert.Equal("D 1|a", await client.ReadAsync());
        source.Give(null);
        Assert.Equal(["C SUBSCRIBE 1", "Z I"], await client.UntilReadyAsync());
    }

    [Fact]
    public async Task Parameters_are_decoded_from_text_and_binary()
    {
        _adapter.On("P", () => new ExecuteResponse.Completed("P"));
        _adapter.Descriptions["P"] = new PreparedDescription([SqlType.Int32, SqlType.Int32, SqlType.String], null, false);
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(
            ["1", "t 23,23,25", "n", "2", "C P", "Z I"],
            await client.AskAsync(
                Parse("", "P"), Describe('S', ""), Bind("", "", [0, 1, 0], [[(byte)'5'], [0, 0, 1, 0], null]), Execute(""), Sync()));
        var bound = _adapter.Session!.Bound[^1];
        Assert.Equal((5L, 256L, true), (bound[0].AsInt64, bound[1].AsInt64, bound[2].IsNull));
        Assert.Equal(
            ["E ERROR 08P01 bind message supplies 1 parameters, but prepared statement \"\" requires 3", "Z I"],
            await client.AskAsync(Bind("", "", [], [null]), Sync()));
        Assert.StartsWith("E ERROR 22P03", (await client.AskAsync(Bind("", "", [1], [[1], [1], [1]]), Sync()))[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_portal_runs_once()
    {
        _adapter.OnRows("FETCH", TwoColumns, "1\tone\n", "FETCH");
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(
            ["1", "2", "D 1|one", "C FETCH 1", "C FETCH 1", "Z I"],
            await client.AskAsync(Parse("", "FETCH"), Bind("", ""), Execute(""), Execute("", 5), Sync()));
        Assert.Equal(
            ["1", "2", "D 1|one", "D 2|NULL", "D 3|three", "C SELECT 3", "C SELECT 0", "Z I"],
            await client.AskAsync(Parse("", "SELECT"), Bind("", ""), Execute(""), Execute(""), Sync()));
        Assert.Equal(
            ["1", "2", "C INSERT 0 1", "E ERROR 55000 portal \"\" cannot be run", "Z I"],
            await client.AskAsync(Parse("", "INSERT"), Bind("", ""), Execute(""), Execute(""), Sync()));
    }

    [Fact]
    public async Task A_simple_query_ends_the_unnamed_statement_and_portal()
    {
        await using var client = await ConnectAsync(_adapter);
        await client.AskAsync(Query("BEGIN"));
        await client.AskAsync(Parse("", "INSERT"), Bind("", ""), Sync());
        await client.AskAsync(Query("INSERT"));
        Assert.Equal(["E ERROR 34000 portal \"\" does not exist", "Z E"], await client.AskAsync(Execute(""), Sync()));
        await client.AskAsync(Query("ROLLBACK"));
        Assert.Equal(["E ERROR 26000 prepared statement \"\" does not exist", "Z I"], await client.AskAsync(Bind("", ""), Sync()));
    }

    [Fact]
    public async Task The_wires_own_errors_fail_an_open_transaction()
    {
        _adapter.Descriptions["P"] = new PreparedDescription([SqlType.Int32], null, false);
        await using var client = await ConnectAsync(_adapter);
        await client.AskAsync(Query("BEGIN"));
        Assert.Equal(["1", "E ERROR 22P03 incorrect binary data format in bind parameter", "Z E"], await client.AskAsync(Parse("", "P"), Bind("", "", [1], [[1]]), Sync()));
        Assert.Equal(["C ROLLBACK", "Z I"], await client.AskAsync(Query("ROLLBACK")));
    }

    [Fact]
    public async Task A_function_call_is_refused()
    {
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(["E ERROR 0A000 the function call protocol is not supported", "Z I"], await client.AskAsync(Message('F', b => b.WriteInt64(0))));
    }

    [Fact]
    public async Task Invalid_utf8_is_an_error_and_the_session_goes_on()
    {
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(
            ["E ERROR 22021 invalid byte sequence for encoding \"UTF8\": 0xff", "Z I"],
            await client.AskAsync(Message('Q', b => b.Write([(byte)'S', 0xff, 0]))));
        Assert.Equal(["E ERROR 08P01 invalid string in message", "Z I"], await client.AskAsync(Message('Q', b => b.Write("SELECT"u8))));
        Assert.Equal(["E ERROR 08P01 invalid message format", "Z I"], await client.AskAsync(Message('Q', b => b.Write("A\0B\0"u8))));
        Assert.Equal(["C INSERT 0 1", "Z I"], await client.AskAsync(Query("INSERT")));
    }

    [Fact]
    public async Task Broken_frames_close_the_connection_with_a_word()
    {
        foreach (var (bytes, message) in new (byte[], string)[]
        {
            ([(byte)'?', 0, 0, 0, 4], "invalid frontend message type 63"),
            ([(byte)'Q', 0, 0, 0, 3], "invalid message length"),
            ([(byte)'Q', 0x7f, 0xff, 0xff, 0xff], "invalid message length"),
            ([(byte)'S', 0, 1, 0, 0], "invalid message length"),
            ([(byte)'p', 0, 0, 0, 8], "invalid frontend message type 112"),
        })
        {
            await using var client = await ConnectAsync(_adapter);
            Assert.Equal([$"E FATAL 08P01 {message}", "closed"], await client.AskAsync(bytes));
        }

        Assert.Equal(0, _adapter.OpenSessions);
    }

    [Fact]
    public async Task An_unforeseen_exception_fails_the_statement_only()
    {
        _adapter.On("BUG", () => throw new InvalidOperationException("oops"));
        await using var client = await ConnectAsync(_adapter);
        Assert.Equal(["E ERROR XX000 internal error: oops", "Z I"], await client.AskAsync(Query("BUG")));
        Assert.Single(client.Logger.Errors);
        Assert.Equal(["C INSERT 0 1", "Z I"], await client.AskAsync(Query("INSERT")));
    }

    [Fact]
    public async Task Goodbye_closes_the_session()
    {
        var client = await ConnectAsync(_adapter);
        await client.SendAsync(Message('X'));
        Assert.Equal("closed", await client.ReadAsync());
        await client.DisposeAsync();
        Assert.Equal(0, _adapter.OpenSessions);
    }
}
