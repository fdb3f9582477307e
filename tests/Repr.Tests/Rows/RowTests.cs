using Materialize.Core.Rows;
using Xunit;

namespace Materialize.Repr.Tests;

/// <summary>Rows and sort keys of random values of every type, against <see cref="DatumOrder"/>.</summary>
public class RowTests
{
    [Fact]
    public void Rows_give_back_what_was_packed_and_equal_rows_are_equal_bytes()
    {
        var random = new Random(3);
        var values = new RandomValues(random);
        for (var round = 0; round < 3000; round++)
        {
            var layout = RowLayout.For([.. Enumerable.Range(0, random.Next(9)).Select(_ => RandomValues.Types[random.Next(RandomValues.Types.Length)].Nullable(random.Next(2) == 0))]);
            Datum[] row = [.. layout.Columns.Select(values.Value)];
            var packed = RowCodec.Pack(layout, row);
            Assert.True(row.AsSpan().SequenceEqual(RowCodec.Unpack(layout, packed)), $"round {round}: {layout.Columns}");
            Assert.Equal(packed, RowCodec.Pack(layout, RowCodec.Unpack(layout, packed)));
            if (layout.Shape.IsFixed)
                Assert.Equal(layout.Shape.Width, packed.Length);
        }
    }

    [Fact]
    public void Projection_agrees_with_unpacking_and_packing()
    {
        var random = new Random(4);
        var values = new RandomValues(random);
        for (var round = 0; round < 1000; round++)
        {
            var from = RowLayout.For([.. Enumerable.Range(0, random.Next(1, 7)).Select(_ => RandomValues.Types[random.Next(RandomValues.Types.Length)].Nullable(random.Next(2) == 0))]);
            int[] columns = [.. Enumerable.Range(0, random.Next(6)).Select(_ => random.Next(from.Columns.Count))];
            var to = RowLayout.For([.. columns.Select(c => from.Columns[c] with { IsNullable = from.Columns[c].IsNullable || random.Next(2) == 0 })]);
            Datum[] row = [.. from.Columns.Select(values.Value)];
            using var output = new RowWriter(to.Shape);
            RowCodec.Project(from, RowCodec.Pack(from, row), columns, to, output);
            Assert.True(output[0].SequenceEqual(RowCodec.Pack(to, [.. columns.Select(c => row[c])])), $"round {round}");
        }
    }

    [Fact]
    public void Sort_keys_order_as_the_values_do()
    {
        var random = new Random(5);
        var values = new RandomValues(random);
        foreach (var type in RandomValues.Types)
        {
            for (var round = 0; round < 400; round++)
            {
                var (descending, nullsLast) = (random.Next(2) == 0, random.Next(2) == 0);
                var (a, b) = (values.Value(type.Nullable()), values.Value(type.Nullable()));
                var expected = a.IsNull || b.IsNull
                    ? a.IsNull.CompareTo(b.IsNull) * (nullsLast ? 1 : -1)
                    : Math.Sign(DatumOrder.Compare(type, a, b)) * (descending ? -1 : 1);
                var keys = Math.Sign(SortKey.Of(type, a, descending, nullsLast).AsSpan().SequenceCompareTo(SortKey.Of(type, b, descending, nullsLast)));
                Assert.True(expected == keys, $"{type.ToSql()}: {Show(type, a)} against {Show(type, b)}: {expected}, keys {keys}");
                Assert.Equal(expected == 0, a.Equals(b));
                if (a.Equals(b))
                    Assert.Equal(a.GetHashCode(), b.GetHashCode());
            }
        }
    }

    [Fact]
    public void The_order_of_values_is_total()
    {
        var random = new Random(6);
        var values = new RandomValues(random);
        foreach (var type in RandomValues.Types)
        {
            for (var round = 0; round < 200; round++)
            {
                var (a, b, c) = (values.Value(type), values.Value(type), values.Value(type));
                Assert.Equal(Math.Sign(DatumOrder.Compare(type, a, b)), -Math.Sign(DatumOrder.Compare(type, b, a)));
                if (DatumOrder.Compare(type, a, b) <= 0 && DatumOrder.Compare(type, b, c) <= 0)
                    Assert.True(DatumOrder.Compare(type, a, c) <= 0, type.ToSql());
            }
        }
    }

    [Fact]
    public void Text_forms_read_back_as_the_same_value()
    {
        var random = new Random(7);
        var values = new RandomValues(random);
        foreach (var type in RandomValues.Types.Where(t => t.Kind is not (ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType)))
        {
            for (var round = 0; round < 200; round++)
            {
                var value = values.Value(type);
                var text = DatumText.Format(type, value);
                Assert.True(value.Equals(DatumText.Parse(type, text)), $"{type.ToSql()}: {text}");
            }
        }
    }

    private static string Show(SqlType type, Datum value) => value.IsNull ? "null" : DatumText.Format(type, value);
}
