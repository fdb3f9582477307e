using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static void AddLists(Dictionary<string, ScalarImplementation> table)
    {
        table["list_create"] = (a, _, _) => Datum.FromList(ValueArray.Create(a));
        table["list_index"] = (a, _, _) => IndexList(a);
        table["list_slice"] = (a, _, _) => Datum.FromList(Slice(a[0].AsList, a[1..]));
        table["list_cat"] = (a, _, _) => a[0].IsNull ? a[1] : a[1].IsNull ? a[0] : Datum.FromList([.. a[0].AsList, .. a[1].AsList]);
        table["list_append"] = (a, _, _) => Datum.FromList([.. a[0].IsNull ? [] : a[0].AsList, a[1]]);
        table["list_prepend"] = (a, _, _) => Datum.FromList([a[0], .. a[1].IsNull ? [] : a[1].AsList]);
        table["list_length"] = (a, _, _) => Int(a[0].AsList.Count);
        table["list_length_max"] = (a, t, _) => LengthMax(a[0], t[0], a[1].AsInt64);
        table["list_n_layers"] = (_, t, _) => Int(Layers(t[0]));
        table["list_remove"] = (a, t, _) =>
        {
            if (a[0].IsNull)
                return Datum.Null;
            var unwanted = a[1];
            var element = t[1];
            return Datum.FromList([.. a[0].AsList.Where(e => !DatumOrder.Equals(element, e, unwanted))]);
        };
        table["list_contains_list"] = (a, t, _) => Bool(ContainsAll(t[0].Element!, a[0].AsList, a[1].AsList));
        table["list_contained_in_list"] = (a, t, _) => Bool(ContainsAll(t[0].Element!, a[1].AsList, a[0].AsList));
        table["map_create"] = (a, _, _) => CreateMap(a);
        table["map_build"] = (a, _, _) => MakeMap(a[0].AsList.Where(e => !e.IsNull && !e.AsList[0].IsNull).Select(e => (e.AsList[0].AsString, e.AsList[1])));
        table["map_length"] = (a, _, _) => Int(a[0].AsMap.Count);
        table["map_get"] = (a, _, _) => TryGet(a[0], a[1].AsString, out var value) ? value : Datum.Null;
        table["map_contains_key"] = (a, _, _) => Bool(TryGet(a[0], a[1].AsString, out _));
        table["map_contains_all_keys"] = (a, _, _) =>
        {
            var map = a[0];
            return Bool(a[1].AsArray.Elements.All(k => !k.IsNull && TryGet(map, k.AsString, out _)));
        };
        table["map_contains_any_keys"] = (a, _, _) =>
        {
            var map = a[0];
            return Bool(a[1].AsArray.Elements.Any(k => !k.IsNull && TryGet(map, k.AsString, out _)));
        };
        table["map_contains"] = (a, t, _) => Bool(MapContains(t[0].Element!, a[0], a[1]));
        table["map_contained_in"] = (a, t, _) => Bool(MapContains(t[0].Element!, a[1], a[0]));
    }

    /// <summary>A map of the given entries, the last of equal keys winning.</summary>
    internal static Datum MakeMap(IEnumerable<(string Key, Datum Value)> entries)
    {
        var sorted = new SortedDictionary<string, Datum>(ContainerText.TextOrder.Instance);
        foreach (var (key, value) in entries)
            sorted[key] = value;
        return Datum.FromMap(sorted.ToValueArray());
    }

    private static Datum CreateMap(ReadOnlySpan<Datum> args)
    {
        var entries = new List<(string, Datum)>();
        for (var i = 0; i < args.Length; i += 2)
        {
            if (!args[i].IsNull)
                entries.Add((args[i].AsString, args[i + 1]));
        }

        return MakeMap(entries);
    }

    private static bool TryGet(Datum map, string key, out Datum value)
    {
        foreach (var entry in map.AsMap.AsSpan())
        {
            if (entry.Key == key)
            {
                value = entry.Value;
                return true;
            }
        }

        value = default;
        return false;
    }

    private static bool MapContains(SqlType element, Datum a, Datum b) =>
        b.AsMap.All(e => TryGet(a, e.Key, out var mine) && DatumOrder.Equals(element, mine, e.Value));

    private static Datum IndexList(ReadOnlySpan<Datum> args)
    {
        var value = args[0];
        foreach (var subscript in args[1..])
        {
            var at = subscript.AsInt64 - 1;
            if (value.IsNull || at < 0 || at >= value.AsList.Count)
                return Datum.Null;
            value = value.AsList[(int)at];
        }

        return value;
    }

    private static ValueArray<Datum> Slice(ValueArray<Datum> list, ReadOnlySpan<Datum> bounds)
    {
        var from = Math.Max(1, bounds[0].AsInt64);
        var to = Math.Min(list.Count, bounds[1].AsInt64);
        if (from > to)
            return [];
        var kept = new List<Datum>();
        for (var i = from; i <= to; i++)
        {
            var item = list[(int)i - 1];
            kept.Add(bounds.Length > 2 && !item.IsNull ? Datum.FromList(Slice(item.AsList, bounds[2..])) : item);
        }

        return kept.ToValueArray();
    }

    private static int Layers(SqlType type) => type.Kind == ScalarKind.List ? 1 + Layers(type.Element!) : 0;

    private static Datum LengthMax(Datum list, SqlType type, long layer)
    {
        if (layer < 1 || layer > Layers(type))
            throw Fail("2202E", $"invalid layer: {layer}; must use value within [1, {Layers(type)}]");
        var lists = new List<Datum> { list };
        for (var i = 1; i < layer; i++)
            lists = [.. lists.Where(l => !l.IsNull).SelectMany(l => l.AsList)];
        return lists.Any(l => !l.IsNull) ? Int(lists.Where(l => !l.IsNull).Max(l => l.AsList.Count)) : Datum.Null;
    }
}
