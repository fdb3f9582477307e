using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;
using Xunit;

namespace Materialize.Protocol.Tests;

public sealed class CodecTests
{
    private const int Runs = 400;

    [Fact]
    public void Compute_commands_come_back_equal()
    {
        for (var seed = 0; seed < Runs; seed++)
            Equal(ProtocolCodecs.ComputeCommands, new MessageGenerator(seed).Command(), seed);
    }

    [Fact]
    public void Storage_commands_come_back_equal()
    {
        for (var seed = 0; seed < Runs; seed++)
            Equal(ProtocolCodecs.StorageCommands, new MessageGenerator(seed).StorageCommand(), seed);
    }

    [Fact]
    public void Storage_responses_come_back_equal()
    {
        for (var seed = 0; seed < Runs; seed++)
            Equal(ProtocolCodecs.StorageResponses, new MessageGenerator(seed).StorageResponse(), seed);
    }

    [Fact]
    public void Compute_responses_come_back_equal()
    {
        for (var seed = 0; seed < Runs; seed++)
        {
            var sent = new MessageGenerator(seed).Response();
            var received = Same(ProtocolCodecs.ComputeResponses, sent);
            switch (sent, received)
            {
                case (ComputeResponse.PeekResponse { Result: PeekResult.Rows a } x, ComputeResponse.PeekResponse { Result: PeekResult.Rows b } y):
                    Assert.Equal(x.Uuid, y.Uuid);
                    Equal(a.Batch, b.Batch);
                    break;
                case (ComputeResponse.SubscribeResponse x, ComputeResponse.SubscribeResponse y):
                    Assert.Equal(x with { Batch = x.Batch with { Updates = RowBatch.Empty } }, y with { Batch = y.Batch with { Updates = RowBatch.Empty } });
                    Equal(x.Batch.Updates, y.Batch.Updates);
                    break;
                default:
                    Assert.Equal(sent, received);
                    break;
            }
        }
    }

    [Fact]
    public void Byte_strings_come_back_equal()
    {
        var literal = new MirScalarExpr.Literal(Datum.FromBytes([1, 0, 255]), SqlType.Bytes.Nullable(false));
        var plan = new LirRelationExpr.MapFilterProject(
            new LirRelationExpr.Constant([], null, []), new Mfp(0, [literal], [], [0]), [SqlType.Bytes.Nullable(false)]);
        var sent = new ComputeCommand.CreateDataflow(new DataflowDescription("x", [], [], [new BuildDesc(GlobalId.User(1), plan)], [], [], null, null));
        var received = (ComputeCommand.CreateDataflow)Same(ProtocolCodecs.ComputeCommands, sent);
        var back = (MirScalarExpr.Literal)((LirRelationExpr.MapFilterProject)received.Dataflow.Objects[0].Plan).Mfp.Maps[0];
        Assert.Equal([1, 0, 255], back.Value.AsBytes);
    }

    [Fact]
    public void An_expression_five_hundred_deep_comes_back_equal()
    {
        MirScalarExpr expr = new MirScalarExpr.Column(0);
        for (var i = 0; i < 500; i++)
            expr = new MirScalarExpr.If(MirScalarExpr.True, expr, MirScalarExpr.False);
        var plan = new LirRelationExpr.MapFilterProject(new LirRelationExpr.Constant([], null, []), new Mfp(0, [expr], [], [0]), []);
        Equal(
            ProtocolCodecs.ComputeCommands,
            new ComputeCommand.CreateDataflow(new DataflowDescription("x", [], [], [new BuildDesc(GlobalId.User(1), plan)], [], [], null, null)),
            0);
    }

    [Fact]
    public void Bytes_that_are_no_message_are_refused_and_nothing_else()
    {
        var random = new Random(1);
        for (var seed = 0; seed < Runs; seed++)
        {
            var bytes = ProtocolCodecs.ComputeCommands.Encode(new MessageGenerator(seed).Command()).ToArray();
            for (var i = 0; i < 3; i++)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            try
            {
                // Some damage gives another valid message; that one is again equal to itself.
                Same(ProtocolCodecs.ComputeCommands, ProtocolCodecs.ComputeCommands.Decode(bytes));
            }
            catch (ProtocolException)
            {
                // As it should be; any other exception fails the test.
            }
        }

        Assert.Throws<ProtocolException>(() => ProtocolCodecs.ComputeCommands.Decode(ReadOnlyMemory<byte>.Empty));
    }

    [Fact]
    public void A_password_does_not_print()
    {
        var connection = new SourceConnection.Postgres("h", 1, "u", "hunter2", "d", "s", "p", "x");
        var command = new StorageCommand.RunIngestion(
            new IngestionDescription(GlobalId.User(1), "n", connection, new CollectionMetadata(ShardId.New(), null, RelationDesc.Empty), [], 1));
        Assert.DoesNotContain("hunter2", command.ToString());
    }

    private static T Same<T>(IMessageCodec<T> codec, T message)
    {
        var bytes = codec.Encode(message);
        var back = codec.Decode(bytes);
        Assert.True(bytes.Span.SequenceEqual(codec.Encode(back).Span));
        return back;
    }

    private static void Equal<T>(IMessageCodec<T> codec, T message, int seed)
    {
        var back = Same(codec, message);
        Assert.True(message!.Equals(back), $"seed {seed}");
    }

    private static void Equal(RowBatch a, RowBatch b)
    {
        Assert.Equal(a.Data.ToArray(), b.Data.ToArray());
        Assert.Equal(a.Ends, b.Ends);
        Assert.Equal(a.Times, b.Times);
        Assert.Equal(a.Diffs, b.Diffs);
    }
}
