using System.Text;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private const int MaxArrayBytes = 134_217_728;
    private const int MaxArrayElements = MaxArrayBytes - 1;
    private const int MaxArrayDimensions = 6;

    private static void AddArrays(Dictionary<string, ScalarImplementation> table)
    {
        table["array_create"] = (a, t, _) => CreateArray(a, t);
        table["array_index"] = (a, _, _) => IndexArray(a);
        table["array_cat"] = (a, _, _) => a[0].IsNull ? a[1] : a[1].IsNull ? a[0] : Cat(a[0].AsArray, a[1].AsArray);
        table["array_append"] = (a, _, _) => Cat(a[0].IsNull ? Empty : a[0].AsArray, Single(a[1]));
        table["array_prepend"] = (a, _, _) => Cat(Single(a[0]), a[1].IsNull ? Empty : a[1].AsArray);
        table["array_fill"] = (a, _, _) => Fill(a);
        table["array_length"] = (a, _, _) => Dimension(a) is { } d ? Int(d.Length) : Datum.Null;
        table["array_lower"] = (a, _, _) => Dimension(a) is { } d ? Int(d.LowerBound) : Datum.Null;
        table["array_upper"] = (a, _, _) => Dimension(a) is { } d ? Int(d.LowerBound + d.Length - 1) : Datum.Null;
        table["array_ndims"] = (a, _, _) => a[0].AsArray.Dimensions.Count is > 0 and var n ? Int(n) : Datum.Null;
        table["cardinality"] = (a, _, _) => Int(a[0].AsArray.Elements.Count);
        table["array_position"] = (a, t, _) => PositionInArray(a, t);
        table["array_remove"] = (a, t, _) => RemoveFromArray(a, t);
        table["array_to_string"] = (a, t, _) => ArrayToString(a, t);
        table["array_contains_array"] = (a, t, _) => Bool(ContainsAll(t[0].Element!, a[0].AsArray.Elements, a[1].AsArray.Elements));
        table["array_contained_in_array"] = (a, t, _) => Bool(ContainsAll(t[0].Element!, a[1].AsArray.Elements, a[0].AsArray.Elements));
    }

    private static ArrayDatum Empty { get; } = new([], []);

    private static ArrayDatum Single(Datum element) => new([new ArrayDimension(1, 1)], [element]);

    private static Datum OneDimensional(ValueArray<Datum> elements, int lowerBound = 1) =>
        Datum.FromArray(elements.IsEmpty ? Empty : new ArrayDatum([new ArrayDimension(lowerBound, elements.Count)], elements));

    private static Datum CreateArray(ReadOnlySpan<Datum> args, ReadOnlySpan<SqlType> types)
    {
        if (args.IsEmpty || types[0].Kind != ScalarKind.Array)
            return OneDimensional(ValueArray.Create(args));
        var elements = new List<Datum>();
        ValueArray<ArrayDimension>? inner = null;
        foreach (var arg in args)
        {
            var dimensions = arg.IsNull ? [] : arg.AsArray.Dimensions;
            if (inner is { } known && known != dimensions)
                throw Fail("2202E", "number of array elements must match array dimensions: multidimensional arrays must have sub-arrays with matching dimensions");
            inner = dimensions;
            if (!arg.IsNull)
                elements.AddRange(arg.AsArray.Elements);
        }

        return elements.Count == 0
            ? Datum.FromArray(Empty)
            : Datum.FromArray(new ArrayDatum([new ArrayDimension(1, args.Length), .. inner!.Value], elements.ToValueArray()));
    }

    private static Datum IndexArray(ReadOnlySpan<Datum> args)
    {
        var array = args[0].AsArray;
        if (args.Length - 1 != array.Dimensions.Count)
            return Datum.Null;
        long at = 0;
        for (var i = 0; i < array.Dimensions.Count; i++)
        {
            var offset = args[i + 1].AsInt64 - array.Dimensions[i].LowerBound;
            if (offset < 0 || offset >= array.Dimensions[i].Length)
                return Datum.Null;
            at = (at * array.Dimensions[i].Length) + offset;
        }

        return array.Elements[(int)at];
    }

    private static Datum Cat(ArrayDatum a, ArrayDatum b)
    {
        if (a.Dimensions.Count == 0)
            return Datum.FromArray(b);
        if (b.Dimensions.Count == 0)
            return Datum.FromArray(a);
        ValueArray<Datum> elements = [.. a.Elements, .. b.Elements];
        var (x, y) = (a.Dimensions, b.Dimensions);
        if (x.Count == y.Count && x.Skip(1).SequenceEqual(y.Skip(1)))
            return Datum.FromArray(new ArrayDatum(x.Set(0, x[0] with { Length = x[0].Length + y[0].Length }), elements));
        if (x.Count == y.Count + 1 && x.Skip(1).SequenceEqual(y))
            return Datum.FromArray(new ArrayDatum(x.Set(0, x[0] with { Length = x[0].Length + 1 }), elements));
        if (y.Count == x.Count + 1 && y.Skip(1).SequenceEqual(x))
            return Datum.FromArray(new ArrayDatum(y.Set(0, y[0] with { Length = y[0].Length + 1 }), elements));
        throw Fail("2202E", "cannot concatenate incompatible arrays");
    }

    private static Datum Fill(ReadOnlySpan<Datum> args)
    {
        if (args[1].IsNull || (args.Length > 2 && args[2].IsNull))
            throw Fail("22004", "dimension array or low bound array must not be null");
        var lengths = args[1].AsArray.Elements;
        var bounds = args.Length > 2 ? args[2].AsArray.Elements : [.. lengths.Select(_ => Int(1))];
        if (lengths.Any(d => d.IsNull) || bounds.Any(d => d.IsNull))
            throw Fail("22004", "dimension values must not be null");
        if (lengths.Count != bounds.Count)
            throw Fail("2202E", "wrong number of array subscripts");
        if (lengths.Count > MaxArrayDimensions)
            throw Fail("54000", $"number of array dimensions ({lengths.Count}) exceeds the maximum allowed ({MaxArrayDimensions})");
        Int128 total = 1;
        foreach (var length in lengths)
        {
            total *= length.AsInt64;
            if (length.AsInt64 < 0 || total > MaxArrayElements)
                throw Fail("54000", $"array size exceeds the maximum allowed ({MaxArrayBytes} bytes)");
        }

        if (lengths.IsEmpty || total == 0)
            return Datum.FromArray(Empty);
        var elements = new Datum[(int)total];
        Array.Fill(elements, args[0]);
        return Datum.FromArray(new ArrayDatum([.. lengths.Zip(bounds, (l, b) => new ArrayDimension((int)b.AsInt64, (int)l.AsInt64))], elements.ToValueArray()));
    }

    private static ArrayDimension? Dimension(ReadOnlySpan<Datum> args)
    {
        // An int2vector is an array whose only dimension begins at 0.
        var dimensions = args[0].AsArray.Dimensions;
        var wanted = args[1].AsInt64;
        return wanted >= 1 && wanted <= dimensions.Count ? dimensions[(int)wanted - 1] : null;
    }

    private static Datum PositionInArray(ReadOnlySpan<Datum> args, ReadOnlySpan<SqlType> types)
    {
        if (args[0].IsNull)
            return Datum.Null;
        if (args.Length > 2 && args[2].IsNull)
            throw Fail("22004", "initial position must not be null");
        var array = args[0].AsArray;
        if (array.Dimensions.Count > 1)
            throw Fail("0A000", "searching for elements in multidimensional arrays is not supported");
        var bound = array.Dimensions.Count == 0 ? 1 : array.Dimensions[0].LowerBound;
        for (var i = args.Length > 2 ? (int)Math.Clamp(args[2].AsInt64 - bound, 0, array.Elements.Count) : 0; i < array.Elements.Count; i++)
        {
            if (DatumOrder.Equals(types[1], array.Elements[i], args[1]))
                return Int(bound + i);
        }

        return Datum.Null;
    }

    private static Datum RemoveFromArray(ReadOnlySpan<Datum> args, ReadOnlySpan<SqlType> types)
    {
        if (args[0].IsNull)
            return Datum.Null;
        var array = args[0].AsArray;
        if (array.Dimensions.Count > 1)
            throw Fail("0A000", "removing elements from multidimensional arrays is not supported");
        var unwanted = args[1];
        var element = types[1];
        return OneDimensional([.. array.Elements.Where(e => !DatumOrder.Equals(element, e, unwanted))], array.Dimensions.Count == 0 ? 1 : array.Dimensions[0].LowerBound);
    }

    private static Datum ArrayToString(ReadOnlySpan<Datum> args, ReadOnlySpan<SqlType> types)
    {
        if (args[0].IsNull || args[1].IsNull)
            return Datum.Null;
        var text = new StringBuilder();
        var first = true;
        foreach (var element in args[0].AsArray.Elements)
        {
            if (element.IsNull && (args.Length < 3 || args[2].IsNull))
                continue;
            text.Append(first ? "" : args[1].AsString).Append(element.IsNull ? args[2].AsString : DatumText.Format(types[0].Element!, element));
            first = false;
        }

        return Text(text.ToString());
    }

    /// <summary>Whether every element of b equals one of a; nulls equal nothing.</summary>
    private static bool ContainsAll(SqlType element, ValueArray<Datum> a, ValueArray<Datum> b) =>
        b.All(wanted => !wanted.IsNull && a.Any(mine => !mine.IsNull && DatumOrder.Compare(element, mine, wanted) == 0));
}
