using Materialize.Core.Collections;
using Materialize.Persist;
using Materialize.Persist.Columns;
using Materialize.Persist.Txns;
using Materialize.Protocol;
using Materialize.Repr;
using Xunit;
using static Materialize.Compute.Tests.Plans;

namespace Materialize.Compute.Tests;

/// <summary>Tables, whose writes lie in a transaction log before they are in their shards.</summary>
public sealed class TableTests
{
    [Fact]
    public async Task An_index_and_a_peek_see_a_table_as_committed_before_it_is_applied()
    {
        await using var replica = await Replica.StartAsync(2);
        var cancel = TestContext.Current.CancellationToken;
        var txns = ShardId.New();
        await using var reader = await TxnsReader.OpenAsync(replica.Persist, txns, cancel);
        await using var log = await TxnsHandle.OpenAsync(replica.Persist, reader, new FencingEpoch(1), cancel);
        var (source, index) = (GlobalId.User(1), GlobalId.User(2));
        ValueArray<ColumnType> columns = [Int8];
        var metadata = new CollectionMetadata(ShardId.New(), txns, new RelationDesc(new RelationType(columns), ["x"]));
        Assert.IsType<TxnsResult.Committed>(await log.RegisterAsync(new Timestamp(1), [metadata.Shard], cancel));

        async Task CommitAsync(ulong time, params long[] values)
        {
            var updates = new UpdateColumnsBuilder();
            foreach (var value in values)
                updates.Add(RowCodec.Pack(RowLayout.For(columns), [Int(Math.Abs(value))]), new Timestamp(time), Math.Sign(value));
            Assert.IsType<TxnsResult.Committed>(await log.CommitAsync(new Timestamp(time), [TableWrite.Of(metadata.Shard, updates.Build())], cancel));
        }

        await CommitAsync(3, 10, 20);
        var import = new SourceImport(source, metadata.Desc.Type, metadata, Materialize.Expr.Mfp.Identity(1), columns);
        var dataflow = new DataflowDescription(
            "table", [import], [], [], [new IndexExport(index, new IndexDesc(source, Key(0)), metadata.Desc.Type)], [], 3, null);
        await replica.Controller.RunAsync(dataflow);
        await CommitAsync(5, -10, 30);
        var expected = new Dictionary<ulong, string[]> { [3] = ["10", "20"], [4] = ["10", "20"], [5] = ["20", "30"] };
        foreach (var (time, rows) in expected)
        {
            foreach (var target in new PeekTarget[] { new PeekTarget.Index(index), new PeekTarget.Persist(source, metadata) })
            {
                var result = await replica.Controller.PeekAsync(Peek(index, columns, time) with { Target = target });
                Assert.Equal(rows, Decode(Assert.IsType<PeekResult.Rows>(result).Batch, columns).Keys);
            }
        }
    }
}
