using System.Text;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql.Tests;

/// <summary>
/// What a MIR plan means, as plainly as it can be said: relations are lists of rows, joins are nested loops, each row stands as
/// often as its multiplicity (negative ones too, until a union cancels them).
/// </summary>
internal sealed class PlainInterpreter(IReadOnlyDictionary<GlobalId, List<Datum[]>> data)
{
    private readonly Dictionary<int, List<(Datum[] Row, long Diff)>> _locals = [];

    private List<(Datum[] Row, long Diff)> Recursion(MirRelationExpr.LetRec x)
    {
        foreach (var binding in x.Bindings)
            _locals[binding.LocalId] = [];
        var rounds = x.Bindings[0].Limit?.RoundsMax ?? 10_000;
        for (var (round, changed) = (0U, true); changed && round < rounds; round++)
        {
            changed = false;
            foreach (var binding in x.Bindings)
            {
                var rows = Consolidate(Run(binding.Value), binding.Value);
                changed |= !Text(rows).SequenceEqual(Text(_locals[binding.LocalId]));
                _locals[binding.LocalId] = rows;
            }
        }

        return Run(x.Body);

        static IEnumerable<string> Text(List<(Datum[] Row, long Diff)> rows) =>
            rows.Select(r => $"{string.Join(',', r.Row)} {r.Diff}").Order(StringComparer.Ordinal);
    }

    public List<(Datum[] Row, long Diff)> Run(MirRelationExpr e)
    {
        switch (e)
        {
            case MirRelationExpr.Constant x:
                if (x.Error is not null)
                    throw new EvalException(x.Error);
                return x.Rows.Select(r => (r.Values.AsSpan().ToArray(), r.Diff)).ToList();
            case MirRelationExpr.Get { Id: Id.Global id }:
                return data[id.GlobalId].Select(r => (r, 1L)).ToList();
            case MirRelationExpr.Get { Id: Id.Local id }:
                return _locals[id.Number];
            case MirRelationExpr.Let x:
                _locals[x.LocalId] = Consolidate(Run(x.Value), x.Value);
                return Run(x.Body);
            case MirRelationExpr.LetRec x:
                return Recursion(x);
            case MirRelationExpr.Project x:
                return Run(x.Input).Select(r => (x.Outputs.Select(o => r.Row[o]).AsSpan().ToArray(), r.Diff)).ToList();
            case MirRelationExpr.Map x:
                {
                    var types = x.Input.TypeOf().Columns;
                    return Run(x.Input).Select(r =>
                    {
                        var row = r.Row.ToList();
                        var known = types;
                        foreach (var scalar in x.Scalars)
                        {
                            row.Add(Interpreter.Eval(scalar, known, row.ToArray()));
                            known = known.Add(scalar.TypeOf(known));
                        }

                        return (row.ToArray(), r.Diff);
                    }).ToList();
                }

            case MirRelationExpr.FlatMap x:
                {
                    var types = x.Input.TypeOf().Columns;
                    return Run(x.Input).SelectMany(r => Table(x, x.Args.Select(a => Interpreter.Eval(a, types, r.Row)), x.Args.Select(a => a.TypeOf(types).Type))
                        .Select(t => (r.Row.Concat(t).ToArray(), r.Diff))).ToList();
                }

            case MirRelationExpr.Filter x:
                {
                    var types = x.Input.TypeOf().Columns;
                    return Run(x.Input).Where(r => x.Predicates.All(p => Interpreter.Eval(p, types, r.Row) is { IsNull: false, AsBool: true })).ToList();
                }

            case MirRelationExpr.Join x:
                return Join(x);
            case MirRelationExpr.Reduce x:
                return Reduce(x);
            case MirRelationExpr.TopK x:
                return TopK(x);
            case MirRelationExpr.Window x:
                return Window(x);
            case MirRelationExpr.Negate x:
                return Run(x.Input).Select(r => (r.Row, -r.Diff)).ToList();
            case MirRelationExpr.Threshold x:
                return Consolidate(Run(x.Input), x.Input).Where(r => r.Diff > 0).ToList();
            case MirRelationExpr.Union x:
                return Consolidate([.. Run(x.Base), .. x.Inputs.SelectMany(Run)], x);
            case MirRelationExpr.ArrangeBy x:
                return Run(x.Input);
            default:
                throw new ArgumentException(e.GetType().Name);
        }
    }

    private static string Key(IReadOnlyList<Datum> row, ValueArray<ColumnType> types)
    {
        var text = new StringBuilder();
        for (var i = 0; i < row.Count; i++)
            text.Append(row[i].IsNull ? "∅" : DatumText.Format(types[i].Type, row[i])).Append('\u0001');
        return text.ToString();
    }

    private static List<(Datum[] Row, long Diff)> Consolidate(List<(Datum[] Row, long Diff)> rows, MirRelationExpr of)
    {
        var types = of.TypeOf().Columns;
        return rows.GroupBy(r => Key(r.Row, types)).Select(g => (g.First().Row, g.Sum(r => r.Diff))).Where(r => r.Item2 != 0).ToList();
    }

    private List<(Datum[] Row, long Diff)> Join(MirRelationExpr.Join x)
    {
        ValueArray<ColumnType> types = [.. x.Inputs.SelectMany(i => i.TypeOf().Columns)];
        List<(Datum[] Row, long Diff)> rows = [([], 1)];
        foreach (var input in x.Inputs)
        {
            var next = Run(input);
            rows = rows.SelectMany(l => next.Select(r => (l.Row.Concat(r.Row).ToArray(), l.Diff * r.Diff))).ToList();
        }

        return rows.Where(r => x.Equivalences.All(c =>
        {
            var values = c.Select(s => Interpreter.Eval(s, types, r.Row));
            var type = c[0].TypeOf(types).Type;
            return values.All(v => !v.IsNull && DatumOrder.Compare(type, values[0], v) == 0);
        })).ToList();
    }

    private List<(Datum[] Row, long Diff)> Reduce(MirRelationExpr.Reduce x)
    {
        var types = x.Input.TypeOf().Columns;
        var keyTypes = x.GroupKey.Select(k => k.TypeOf(types));
        return Consolidate(Run(x.Input), x.Input)
            .Select(r => (Key: x.GroupKey.Select(k => Interpreter.Eval(k, types, r.Row)).AsSpan().ToArray(), r.Row, r.Diff))
            .GroupBy(r => Key(r.Key, keyTypes))
            .Select(g =>
            {
                Assert.All(g, r => Assert.True(r.Diff > 0, "a Reduce was given a negative multiplicity"));
                var rows = g.SelectMany(r => Enumerable.Repeat(r.Row, (int)r.Diff)).ToList();
                return (g.First().Key.Concat(x.Aggregates.Select(a => PlainAggregates.Compute(a, rows, types))).ToArray(), 1L);
            }).ToList();
    }

    private List<(Datum[] Row, long Diff)> TopK(MirRelationExpr.TopK x)
    {
        var types = x.Input.TypeOf().Columns;
        var rows = Consolidate(Run(x.Input), x.Input);
        List<(Datum[] Row, long Diff)> result = [];
        foreach (var group in rows.GroupBy(r => Key(x.GroupKey.Select(k => r.Row[k]).AsSpan().ToArray(), x.GroupKey.Select(k => types[k]))))
        {
            var sorted = group.SelectMany(r => Enumerable.Repeat(r.Row, (int)r.Diff)).ToList();
            sorted.Sort((a, b) => PlainAggregates.Compare(x.OrderKey, types, a, b));
            IEnumerable<Datum[]> kept = sorted.Skip((int)x.Offset);
            if (x.Limit is not null && Interpreter.Eval(x.Limit, types, group.First().Row) is { IsNull: false } limit)
                kept = kept.Take((int)limit.AsInt64);
            result.AddRange(kept.Select(r => (r, 1L)));
        }

        return result;
    }

    private List<(Datum[] Row, long Diff)> Window(MirRelationExpr.Window x)
    {
        var types = x.Input.TypeOf().Columns;
        List<(Datum[] Row, long Diff)> result = [];
        foreach (var group in Consolidate(Run(x.Input), x.Input).GroupBy(r => Key(x.PartitionKey.Select(k => r.Row[k]).AsSpan().ToArray(), x.PartitionKey.Select(k => types[k]))))
        {
            var ties = ValueArray.Range(types.Count).Select(c => new ColumnOrder(c, false, true));
            var rows = group.SelectMany(r => Enumerable.Repeat(r.Row, (int)r.Diff)).ToList();
            rows.Sort((a, b) => PlainAggregates.Compare([.. x.OrderKey, .. ties], types, a, b));
            for (var i = 0; i < rows.Count; i++)
            {
                string OrderOf(Datum[] row) => Key(x.OrderKey.Select(o => row[o.Column]).AsSpan().ToArray(), x.OrderKey.Select(o => types[o.Column]));
                bool ArePeers(Datum[] row) => OrderOf(row) == OrderOf(rows[i]);
                var (first, last) = (rows.FindIndex(ArePeers), rows.FindLastIndex(ArePeers));
                List<Datum[]> In(WindowRows frame)
                {
                    var from = (int)Math.Max(0, frame.Start is { } s ? i + s : 0);
                    var to = (int)(frame.ToPeers ? last : frame.End is { } e ? Math.Min(rows.Count - 1, i + e) : rows.Count - 1);
                    return rows[from..Math.Max(from, to + 1)];
                }

                var values = x.Calls.Select(call => call switch
                {
                    WindowCall.Number { Which: WindowNumber.RowNumber } => Datum.FromInt64(i + 1),
                    WindowCall.Number { Which: WindowNumber.Rank } => Datum.FromInt64(first + 1),
                    WindowCall.Number => Datum.FromInt64(1 + rows[..first].DistinctBy(OrderOf).Count()),
                    WindowCall.Neighbour c when i + c.Offset >= 0 && i + c.Offset < rows.Count => rows[(int)(i + c.Offset)][c.Column],
                    WindowCall.Neighbour c => c.Default is { } other ? rows[i][other] : Datum.Null,
                    WindowCall.Edge c => In(c.Frame)[c.IsFirst ? 0 : ^1][c.Column],
                    WindowCall.Aggregate c => PlainAggregates.Compute(new AggregateExpr(c.Func, [new MirScalarExpr.Column(c.Column)], false, c.Output, [], []), In(c.Frame), types),
                    _ => throw new ArgumentException(call.GetType().Name),
                });
                result.Add(([.. rows[i], .. values], 1));
            }
        }

        return result;
    }

    private static IEnumerable<Datum[]> Table(MirRelationExpr.FlatMap x, ValueArray<Datum> args, ValueArray<SqlType> types)
    {
        var rows = Table(x.Inner ?? x.Func, args, types);
        return x.Func == TableFunc.WithOrdinality ? rows.Select((r, i) => (Datum[])[.. r, Datum.FromInt64(i + 1)]) : rows;
    }

    private static IEnumerable<Datum[]> Table(TableFunc func, ValueArray<Datum> args, ValueArray<SqlType> types)
    {
        if (args.Any(a => a.IsNull))
            return [];
        switch (func)
        {
            case TableFunc.GenerateSeriesInt32 or TableFunc.GenerateSeriesInt64:
                var step = args.Count > 2 ? args[2].AsInt64 : 1;
                List<Datum[]> series = [];
                for (var i = args[0].AsInt64; step > 0 ? i <= args[1].AsInt64 : i >= args[1].AsInt64; i += step)
                    series.Add([Datum.FromInt64(i)]);
                return series;
            case TableFunc.UnnestArray:
                return args[0].AsArray.Elements.Select(e => new[] { e });
            case TableFunc.UnnestList:
                return args[0].AsList.Select(e => new[] { e });
            case TableFunc.UnnestMap:
                return args[0].AsMap.Select(e => new[] { Datum.FromString(e.Key), e.Value });
            default:
                throw new NotSupportedException(func.ToString());
        }
    }
}

/// <summary>Aggregates over plain lists.</summary>
internal static class PlainAggregates
{
    public static int Compare(ValueArray<ColumnOrder> orders, ValueArray<ColumnType> types, Datum[] a, Datum[] b)
    {
        foreach (var order in orders)
        {
            var (x, y) = (a[order.Column], b[order.Column]);
            var c = CompareNullable(types[order.Column].Type, x, y, order.Descending, order.NullsLast);
            if (c != 0)
                return c;
        }

        for (var i = 0; i < a.Length; i++)
        {
            var c = CompareNullable(types[i].Type, a[i], b[i], false, true);
            if (c != 0)
                return c;
        }

        return 0;
    }

    private static int CompareNullable(SqlType type, Datum x, Datum y, bool descending, bool nullsLast)
    {
        if (x.IsNull || y.IsNull)
            return x.IsNull && y.IsNull ? 0 : x.IsNull == nullsLast ? 1 : -1;
        var c = DatumOrder.Compare(type, x, y);
        return descending ? -c : c;
    }

    public static Datum Compute(AggregateExpr a, List<Datum[]> rows, ValueArray<ColumnType> types)
    {
        var argTypes = a.Args.Select(s => s.TypeOf(types));
        var orderTypes = a.OrderKeys.Select(s => s.TypeOf(types));
        var inputs = rows.Select(r => (
            Args: a.Args.Select(s => Interpreter.Eval(s, types, r)).AsSpan().ToArray(),
            Order: a.OrderKeys.Select(s => Interpreter.Eval(s, types, r)).AsSpan().ToArray())).ToList();
        if (a.Func is AggregateFunc.ArrayAgg or AggregateFunc.ListAgg && a.Args.Count == 2)
            inputs = inputs.Where(i => i.Args[1].AsBool).ToList();
        if (a.Distinct)
            inputs = inputs.GroupBy(i => string.Join('\u0001', i.Args.Select((d, n) => d.IsNull ? "∅" : DatumText.Format(argTypes[n].Type, d)))).Select(g => g.First()).ToList();
        inputs.Sort((x, y) => Compare(a.OrderBy, orderTypes, x.Order, y.Order) is var c && c != 0 ? c : Compare([], argTypes, x.Args, y.Args));
        var values = inputs.Select(i => i.Args[0]).Where(v => !v.IsNull).ToList();
        var type = argTypes[0].Type;
        switch (a.Func)
        {
            case AggregateFunc.Count:
                return Datum.FromInt64(values.Count);
            case AggregateFunc.Any:
                return values.Any(v => v.AsBool) ? Datum.True : values.Count < inputs.Count ? Datum.Null : Datum.False;
            case AggregateFunc.All:
                return values.Any(v => !v.AsBool) ? Datum.False : values.Count < inputs.Count ? Datum.Null : Datum.True;
            case AggregateFunc.SingleValue:
                return inputs.Count == 1 ? inputs[0].Args[0] : throw new EvalException(new EvalError("21000", "more than one record produced in subquery"));
            case AggregateFunc.ListAgg:
                return Datum.FromList(inputs.Select(i => i.Args[0]).ToValueArray());
            case AggregateFunc.ArrayAgg when inputs.Count > 0:
                return Datum.FromArray(new ArrayDatum([new ArrayDimension(1, inputs.Count)], inputs.Select(i => i.Args[0]).ToValueArray()));
        }

        if (values.Count == 0)
            return Datum.Null;
        switch (a.Func)
        {
            case AggregateFunc.Min:
                return values.Aggregate((x, y) => DatumOrder.Compare(type, x, y) <= 0 ? x : y);
            case AggregateFunc.Max:
                return values.Aggregate((x, y) => DatumOrder.Compare(type, x, y) >= 0 ? x : y);
            case AggregateFunc.StringAgg:
                return Datum.FromString(string.Concat(inputs.Where(i => !i.Args[0].IsNull).Select((i, n) => (n == 0 ? "" : i.Args[1].IsNull ? "" : i.Args[1].AsString) + i.Args[0].AsString)));
            case AggregateFunc.SumInt16 or AggregateFunc.SumInt32:
                return Datum.FromInt64(values.Sum(v => v.AsInt64));
            case AggregateFunc.SumInt64:
                return DatumText.Parse(SqlType.Numeric, values.Aggregate(System.Numerics.BigInteger.Zero, (s, v) => s + v.AsInt64).ToString());
            case AggregateFunc.SumFloat32 or AggregateFunc.SumFloat64:
                return Datum.FromDouble(values.Sum(v => v.AsDouble));
            case AggregateFunc.SumNumeric:
                return DatumText.Parse(SqlType.Numeric, values.Sum(v => decimal.Parse(DatumText.Format(SqlType.Numeric, v), System.Globalization.CultureInfo.InvariantCulture)).ToString(System.Globalization.CultureInfo.InvariantCulture));
            default:
                throw new NotSupportedException(a.Func.ToString());
        }
    }
}
