using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Tests;

/// <summary>Short ways to write plans, dataflows and rows.</summary>
internal static class Plans
{
    public static readonly ColumnType Int4 = SqlType.Int32.Nullable(false);
    public static readonly ColumnType Int8 = SqlType.Int64.Nullable(false);
    public static readonly ColumnType NullableInt8 = SqlType.Int64.Nullable();
    public static readonly ColumnType Text = SqlType.String.Nullable(false);
    public static readonly ColumnType NullableText = SqlType.String.Nullable();

    public static MirScalarExpr Column(int index) => new MirScalarExpr.Column(index);

    public static MirScalarExpr Literal(long value) => new MirScalarExpr.Literal(Datum.FromInt64(value), Int8);

    public static MirScalarExpr Call(string func, SqlType output, params ReadOnlySpan<MirScalarExpr> args) =>
        new MirScalarExpr.Call(ScalarFunctions.ById(func), ValueArray.Create(args), output);

    public static ArrangementKey Key(params ReadOnlySpan<int> columns)
    {
        var exprs = new List<MirScalarExpr>();
        foreach (var column in columns)
            exprs.Add(Column(column));
        return new ArrangementKey(exprs.ToValueArray());
    }

    public static LirRelationExpr Get(TestShard shard) => new LirRelationExpr.Get(
        new Id.Global(shard.Id), null, null, Mfp.Identity(shard.Columns.Count), shard.Columns);

    public static Datum Int(long value) => Datum.FromInt64(value);

    public static Datum Str(string value) => Datum.FromString(value);

    /// <summary>One object over these shards, and an index on all of its columns.</summary>
    public static DataflowDescription IndexOf(
        GlobalId index, LirRelationExpr plan, ulong asOf, IEnumerable<TestShard> shards, ArrangementKey? key = null, ulong? until = null)
    {
        var view = GlobalId.Transient(index.Number);
        return new DataflowDescription(
            $"index {index}",
            shards.Select(s => s.Import()).ToValueArray(),
            [],
            [new BuildDesc(view, plan)],
            [new IndexExport(index, new IndexDesc(view, key ?? Key([.. Enumerable.Range(0, plan.Columns.Count)])), new RelationType(plan.Columns))],
            [],
            asOf,
            until);
    }

    public static DataflowDescription SinkOf(
        GlobalId id, LirRelationExpr plan, ulong asOf, IEnumerable<TestShard> shards, SinkConnection connection, bool snapshot = true, ulong? upTo = null)
    {
        var view = GlobalId.Transient(id.Number);
        var names = Enumerable.Range(0, plan.Columns.Count).Select(i => $"c{i}").ToValueArray();
        return new DataflowDescription(
            $"sink {id}",
            shards.Select(s => s.Import()).ToValueArray(),
            [],
            [new BuildDesc(view, plan)],
            [],
            [new SinkExport(id, view, new RelationDesc(new RelationType(plan.Columns), names), connection, snapshot, upTo)],
            asOf,
            upTo);
    }

    public static PeekRequest Peek(GlobalId index, ValueArray<ColumnType> columns, ulong time, ValueArray<ValueArray<Datum>>? keys = null) => new(
        Guid.NewGuid(), new PeekTarget.Index(index), keys, time, Mfp.Identity(columns.Count), columns, RowSetFinishing.Trivial(columns.Count), 1 << 30);

    /// <summary>A readable multiset.</summary>
    public static SortedDictionary<string, long> Decode(RowBatch batch, ValueArray<ColumnType> columns)
    {
        var layout = RowLayout.For(columns);
        return Multiset(Enumerable.Range(0, batch.Count).Select(i => (RowCodec.Unpack(layout, batch.Row(i)).ToValueArray(), batch.Diffs[i])), columns);
    }

    public static SortedDictionary<string, long> Multiset(IEnumerable<(ValueArray<Datum> Row, long Diff)> rows, ValueArray<ColumnType> columns)
    {
        var result = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var (row, diff) in rows)
        {
            var text = string.Join("|", row.Select((d, i) => d.IsNull ? "∅" : DatumText.Format(columns[i].Type, d)));
            var sum = result.GetValueOrDefault(text) + diff;
            if (sum == 0)
                result.Remove(text);
            else
                result[text] = sum;
        }

        return result;
    }
}
