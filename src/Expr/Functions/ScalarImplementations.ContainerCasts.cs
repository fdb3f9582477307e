using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static void AddContainerCasts(Dictionary<string, ScalarImplementation> table)
    {
        foreach (var name in (string[])["array", "list", "map", "range", "record"])
        {
            table[$"cast_text_to_{name}"] = (a, _, o) => DatumText.Parse(o, a[0].AsString);
            table[$"cast_{name}_to_text"] = (a, t, _) => Text(DatumText.Format(t[0], a[0]));
        }

        table["cast_array_to_array"] = (a, t, o) =>
            Datum.FromArray(a[0].AsArray with { Elements = CastAll(t[0].Element!, o.Element!, a[0].AsArray.Elements) });
        table["cast_array_to_list"] = (a, t, o) => a[0].AsArray.Dimensions.Count <= 1
            ? Datum.FromList(CastAll(t[0].Element!, o.Element!, a[0].AsArray.Elements))
            : throw Fail("0A000", "casting multi-dimensional array to list; got array with " + a[0].AsArray.Dimensions.Count + " dimensions");
        table["cast_list_to_list"] = (a, t, o) => Datum.FromList(CastAll(t[0].Element!, o.Element!, a[0].AsList));
        table["cast_map_to_map"] = (a, t, o) =>
        {
            var (from, to) = (t[0].Element!, o.Element!);
            return Datum.FromMap(a[0].AsMap.Select(e => new KeyValuePair<string, Datum>(e.Key, CastOne(from, to, e.Value))));
        };
        table["cast_record_to_record"] = (a, t, o) =>
        {
            var fields = new Datum[o.Fields.Count];
            for (var i = 0; i < fields.Length; i++)
                fields[i] = CastOne(t[0].Fields[i].Type.Type, o.Fields[i].Type.Type, a[0].AsList[i]);
            return Datum.FromList(fields.ToValueArray());
        };
        table["cast_int2vector_to_array"] = (a, _, _) => Datum.FromArray(
            a[0].AsList.IsEmpty ? Empty : new ArrayDatum([new ArrayDimension(0, a[0].AsList.Count)], a[0].AsList));
        table["cast_array_to_jsonb"] = table["cast_list_to_jsonb"] = (a, t, _) => Datum.FromBytes(ToJson(t[0], a[0]));
    }

    private static ValueArray<Datum> CastAll(SqlType from, SqlType to, ValueArray<Datum> values) => values.Select(v => CastOne(from, to, v));

    /// <summary>An explicit cast of one value.</summary>
    internal static Datum CastOne(SqlType from, SqlType to, Datum value)
    {
        if (value.IsNull)
            return value;
        var cast = Casts.Find(from, to) ?? throw Fail("42846", $"CAST does not support casting from {from.ToSql()} to {to.ToSql()}");
        var func = cast.ExplicitFunc ?? cast.Func;
        return func is null ? value : func.Implementation!([value], [from], to);
    }
}
