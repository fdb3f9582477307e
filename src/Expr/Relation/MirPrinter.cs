using System.Diagnostics;
using System.Globalization;
using System.Text;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>What plans print besides operators.</summary>
/// <param name="ShowArity">Each operator ends with <c>// { arity: n }</c>.</param>
/// <param name="Redacted">Literals print as █.</param>
public sealed record PlanTextOptions(bool ShowArity = false, bool Redacted = false)
{
    public static readonly PlanTextOptions Default = new();

    /// <summary>A catalog object's name as users see it.</summary>
    public Func<GlobalId, string> Name { get; init; } = id => id.ToString();

    /// <summary>How a global Get reads: <c>ReadStorage n</c>, <c>ReadIndex on=n i=[lookup]</c>; null prints <c>Get n</c>.</summary>
    public Func<MirRelationExpr.Get, GetContext, string?>? Access { get; init; }
}

/// <summary>Where a Get stands.</summary>
/// <param name="Filters">Predicates right above it.</param>
/// <param name="ArrangedBy">Keys of an ArrangeBy right above it.</param>
/// <param name="Join">How the join runs whose input it is, arranged; null if it is none.</param>
public sealed record GetContext(ValueArray<MirScalarExpr> Filters, ValueArray<ValueArray<MirScalarExpr>> ArrangedBy, JoinImplementation? Join)
{
    public static readonly GetContext Plain = new([], [], null);
}

/// <summary>The text of MIR plans, as EXPLAIN shows it: an operator a line, inputs indented below it.</summary>
public static class MirPrinter
{
    public static string Print(MirRelationExpr plan, PlanTextOptions? options = null)
    {
        var printer = new Writer(options ?? PlanTextOptions.Default);
        printer.Write(plan, 0, GetContext.Plain);
        return printer.ToString();
    }

    public static string Print(MirScalarExpr expr, PlanTextOptions? options = null) => Scalar(expr, options ?? PlanTextOptions.Default);

    public static string Print(AggregateExpr aggregate, PlanTextOptions? options = null)
    {
        options ??= PlanTextOptions.Default;
        var name = NameOf(aggregate.Func);
        if (aggregate.Func == AggregateFunc.Count && aggregate.Args is [MirScalarExpr.Literal { Value.IsNull: false }])
            return "count(*)";
        var args = string.Join(", ", aggregate.Args.Select(a => Scalar(a, options)));
        var order = aggregate.OrderBy.IsEmpty
            ? ""
            : $" order_by=[{string.Join(", ", aggregate.OrderBy.Select(o => Scalar(aggregate.OrderKeys[o.Column], options) + Direction(o)))}]";
        return $"{name}({(aggregate.Distinct ? "distinct " : "")}{args}{order})";
    }

    /// <summary><c>#0, #1</c>; runs of three or more as <c>#0..=#2</c>.</summary>
    public static string Columns(IReadOnlyList<int> columns)
    {
        var parts = new List<string>();
        for (var i = 0; i < columns.Count;)
        {
            var end = i;
            while (end + 1 < columns.Count && columns[end + 1] == columns[end] + 1)
                end++;
            if (end - i >= 2)
            {
                parts.Add($"#{columns[i]}..=#{columns[end]}");
                i = end + 1;
            }
            else
            {
                parts.Add($"#{columns[i++]}");
            }
        }

        return string.Join(", ", parts);
    }

    public static string Order(ColumnOrder order) => $"#{order.Column}{Direction(order)}";

    /// <summary>A window as EXPLAIN shows it: with a space behind what there is.</summary>
    public static string Window(ValueArray<int> partitionKey, ValueArray<ColumnOrder> orderKey) =>
        (partitionKey.IsEmpty ? "" : $"partition_by=[{string.Join(", ", partitionKey.Select(c => $"#{c}"))}] ")
        + (orderKey.IsEmpty ? "" : $"order_by=[{string.Join(", ", orderKey.Select(Order))}] ");

    public static string Call(WindowCall call)
    {
        static string Bound(long? offset, string unbounded) => offset switch
        {
            null => unbounded,
            0 => "current row",
            < 0 and var n => $"{-n} preceding",
            var n => $"{n} following",
        };
        static string Frame(WindowRows frame) => frame.ToPeers
            ? "range unbounded preceding"
            : $"rows between {Bound(frame.Start, "unbounded preceding")} and {Bound(frame.End, "unbounded following")}";
        return call switch
        {
            WindowCall.Number x => $"{SnakeCase(x.Which.ToString())}()",
            WindowCall.Neighbour x => $"{(x.Offset <= 0 ? "lag" : "lead")}(#{x.Column}, {Math.Abs(x.Offset)}{(x.Default is { } other ? $", #{other}" : "")})",
            WindowCall.Edge x => $"{(x.IsFirst ? "first" : "last")}_value(#{x.Column}) {Frame(x.Frame)}",
            WindowCall.Aggregate x => $"{NameOf(x.Func)}(#{x.Column}) {Frame(x.Frame)}",
            _ => throw new System.Diagnostics.UnreachableException(),
        };
    }

    /// <summary>The SQL name of a table function.</summary>
    public static string NameOf(TableFunc func) => func switch
    {
        TableFunc.GenerateSeriesInt32 or TableFunc.GenerateSeriesInt64 or TableFunc.GenerateSeriesTimestamp or TableFunc.GenerateSeriesTimestampTz => "generate_series",
        _ => SnakeCase(func.ToString()),
    };

    public static string NameOf(AggregateFunc func) => func switch
    {
        AggregateFunc.SumInt16 or AggregateFunc.SumInt32 or AggregateFunc.SumInt64 or AggregateFunc.SumUInt16 or AggregateFunc.SumUInt32
            or AggregateFunc.SumUInt64 or AggregateFunc.SumFloat32 or AggregateFunc.SumFloat64 or AggregateFunc.SumNumeric or AggregateFunc.SumInterval => "sum",
        _ => SnakeCase(func.ToString()),
    };

    private static string Direction(ColumnOrder order) => (order.Descending ? " desc" : " asc") + (order.NullsLast ? " nulls_last" : " nulls_first");

    private static string SnakeCase(string name)
    {
        var text = new StringBuilder();
        foreach (var c in name)
        {
            if (char.IsUpper(c) && text.Length > 0)
                text.Append('_');
            text.Append(char.ToLowerInvariant(c));
        }

        return text.ToString();
    }

    private static string Scalar(MirScalarExpr expr, PlanTextOptions options)
    {
        switch (expr)
        {
            case MirScalarExpr.Column c:
                return $"#{c.Index}";
            case MirScalarExpr.Literal l:
                return options.Redacted ? "█" : Literal(l.Value, l.Type.Type);
            case MirScalarExpr.LiteralError e:
                return options.Redacted ? "error(█)" : $"error(\"{e.Error.Message}\")";
            case MirScalarExpr.CallUnmaterializable u:
                return SnakeCase(u.Func.ToString()) + "()";
            case MirScalarExpr.Parameter p:
                return $"${p.Number}";
            case MirScalarExpr.If i:
                return $"case when {Scalar(i.Condition, options)} then {Scalar(i.Then, options)} else {Scalar(i.Else, options)} end";
            case MirScalarExpr.Call c when c.Func == ScalarFunctions.And || c.Func == ScalarFunctions.Or:
                return $"({string.Join(c.Func == ScalarFunctions.And ? " AND " : " OR ", c.Args.Select(a => Scalar(a, options)))})";
            case MirScalarExpr.Call c when c.Func == ScalarFunctions.Not && c.Args[0] is MirScalarExpr.Call n && n.Func == ScalarFunctions.IsNull:
                return $"({Scalar(n.Args[0], options)}) IS NOT NULL";
            case MirScalarExpr.Call c when c.Func == ScalarFunctions.Not:
                return $"NOT({Scalar(c.Args[0], options)})";
            case MirScalarExpr.Call c when c.Func == ScalarFunctions.IsNull:
                return $"({Scalar(c.Args[0], options)}) IS NULL";
            case MirScalarExpr.Call { Func.Infix: { } infix, Args: [var a, var b] }:
                return $"({Scalar(a, options)} {infix} {Scalar(b, options)})";
            case MirScalarExpr.Call c:
                return $"{c.Func.Id}({string.Join(", ", c.Args.Select(a => Scalar(a, options)))})";
            default:
                throw new UnreachableException(expr.GetType().Name);
        }
    }

    /// <summary>A value as plans show it: text in double quotes.</summary>
    public static string Literal(Datum value, SqlType type) => value.IsNull
        ? "null"
        : type.Kind switch
        {
            ScalarKind.Bool => value.AsBool ? "true" : "false",
            ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 => value.AsInt64.ToString(CultureInfo.InvariantCulture),
            ScalarKind.UInt16 or ScalarKind.UInt32 or ScalarKind.UInt64 or ScalarKind.Oid or ScalarKind.MzTimestamp => value.AsUInt64.ToString(CultureInfo.InvariantCulture),
            ScalarKind.Float32 or ScalarKind.Float64 => value.AsDouble.ToString("R", CultureInfo.InvariantCulture),
            ScalarKind.String or ScalarKind.VarChar or ScalarKind.Char or ScalarKind.PgLegacyName => $"\"{value.AsString.Replace("\"", "\\\"", StringComparison.Ordinal)}\"",
            _ => DatumText.Format(type, value),
        };

    /// <summary>How EXPLAIN shows a limit, behind the word that begins the recursion.</summary>
    public static string Limit(RecursionLimit? limit) => limit switch
    {
        null => "",
        { ReturnsAtLimit: true } => $" [recursion_limit={limit.RoundsMax}, return_at_limit]",
        _ => $" [recursion_limit={limit.RoundsMax}]",
    };

    private sealed class Writer(PlanTextOptions options)
    {
        private readonly StringBuilder _text = new();

        public override string ToString() => _text.ToString();

        public void Write(MirRelationExpr expr, int depth, GetContext context)
        {
            switch (expr)
            {
                case MirRelationExpr.Constant x:
                    WriteConstant(x, depth);
                    return;
                case MirRelationExpr.LetRec x:
                    WriteRecursion(x, depth);
                    return;
                case MirRelationExpr.Let:
                    WriteLets(expr, depth);
                    return;
                case MirRelationExpr.Get { Id: Id.Global g } x:
                    Line(depth, options.Access?.Invoke(x, context) ?? $"Get {options.Name(g.GlobalId)}", x);
                    return;
                case MirRelationExpr.Get x:
                    Line(depth, $"Get {x.Id}", x);
                    return;
                case MirRelationExpr.Project x:
                    Line(depth, $"Project ({Columns(x.Outputs)})", x);
                    break;
                case MirRelationExpr.Map x:
                    Line(depth, $"Map ({List(x.Scalars)})", x);
                    break;
                case MirRelationExpr.FlatMap x:
                    var inner = x.Inner is { } f ? $"{NameOf(f)}({List(x.Args)})" : List(x.Args);
                    Line(depth, $"FlatMap {NameOf(x.Func)}({inner})", x);
                    break;
                case MirRelationExpr.Filter x:
                    Line(depth, $"Filter {string.Join(" AND ", x.Predicates.Select(p => Scalar(p, options)))}", x);
                    Write(x.Input, depth + 1, GetContext.Plain with { Filters = x.Predicates });
                    return;
                case MirRelationExpr.Join x:
                    WriteJoin(x, depth);
                    foreach (var input in x.Inputs)
                        Write(input, depth + 1, GetContext.Plain with { Join = x.Implementation });
                    return;
                case MirRelationExpr.Reduce { Aggregates.IsEmpty: true } x:
                    Line(depth, $"Distinct project=[{List(x.GroupKey)}]{Hints(x.Monotonic, x.ExpectedGroupSize)}", x);
                    break;
                case MirRelationExpr.Reduce x:
                    var groupBy = x.GroupKey.IsEmpty ? "" : $"group_by=[{List(x.GroupKey)}] ";
                    Line(depth, $"Reduce {groupBy}aggregates=[{string.Join(", ", x.Aggregates.Select(a => Print(a, options)))}]{Hints(x.Monotonic, x.ExpectedGroupSize)}", x);
                    break;
                case MirRelationExpr.TopK x:
                    var topK = new StringBuilder("TopK");
                    if (!x.GroupKey.IsEmpty)
                        topK.Append($" group_by=[{string.Join(", ", x.GroupKey.Select(c => $"#{c}"))}]");
                    if (!x.OrderKey.IsEmpty)
                        topK.Append($" order_by=[{string.Join(", ", x.OrderKey.Select(Order))}]");
                    if (x.Limit is not null)
                        topK.Append($" limit={Scalar(x.Limit, options)}");
                    if (x.Offset > 0)
                        topK.Append($" offset={x.Offset}");
                    topK.Append(Hints(x.Monotonic, x.ExpectedGroupSize));
                    Line(depth, topK.ToString(), x);
                    break;
                case MirRelationExpr.Window x:
                    Line(depth, $"Window {Window(x.PartitionKey, x.OrderKey)}calls=[{string.Join(", ", x.Calls.Select(Call))}]", x);
                    break;
                case MirRelationExpr.Negate x:
                    Line(depth, "Negate", x);
                    break;
                case MirRelationExpr.Threshold x:
                    Line(depth, "Threshold", x);
                    break;
                case MirRelationExpr.Union x:
                    Line(depth, "Union", x);
                    break;
                case MirRelationExpr.ArrangeBy x:
                    Line(depth, $"ArrangeBy keys=[{string.Join(", ", x.Keys.Select(k => $"[{List(k)}]"))}]", x);
                    Write(x.Input, depth + 1, context with { ArrangedBy = x.Keys });
                    return;
                default:
                    throw new UnreachableException(expr.GetType().Name);
            }

            foreach (var child in expr.Children)
                Write(child, depth + 1, GetContext.Plain);
        }

        private void WriteConstant(MirRelationExpr.Constant x, int depth)
        {
            if (x.Error is not null)
                Line(depth, options.Redacted ? "Error █" : $"Error \"{x.Error.Message}\"", x);
            else if (x.Rows.IsEmpty)
                Line(depth, "Constant <empty>", x);
            else
            {
                Line(depth, "Constant", x);
                if (x.Rows.Count > 20)
                    Line(depth + 1, $"total_rows (diffs absed): {x.Rows.Sum(r => Math.Abs(r.Diff))}", null);
                foreach (var row in x.Rows.Take(20))
                {
                    var values = $"({string.Join(", ", row.Values.Select((v, i) => options.Redacted ? "█" : Literal(v, x.Type.Columns[i].Type)))})";
                    Line(depth + 1, row.Diff == 1 ? $"- {values}" : $"- ({values} x {row.Diff})", null);
                }
            }
        }

        private void WriteLets(MirRelationExpr expr, int depth)
        {
            Line(depth, "With", null);
            while (expr is MirRelationExpr.Let let)
            {
                Line(depth + 1, $"cte l{let.LocalId} =", null);
                Write(let.Value, depth + 2, GetContext.Plain);
                expr = let.Body;
            }

            Line(depth, "Return", null);
            Write(expr, depth + 1, GetContext.Plain);
        }

        private void WriteRecursion(MirRelationExpr.LetRec x, int depth)
        {
            Line(depth, $"With Mutually Recursive{Limit(x.Bindings[0].Limit)}", null);
            foreach (var binding in x.Bindings)
            {
                Line(depth + 1, $"cte l{binding.LocalId} =", null);
                Write(binding.Value, depth + 2, GetContext.Plain);
            }

            Line(depth, "Return", null);
            Write(x.Body, depth + 1, GetContext.Plain);
        }

        private void WriteJoin(MirRelationExpr.Join x, int depth)
        {
            var kind = x.Implementation switch
            {
                JoinImplementation.Linear => " type=differential",
                JoinImplementation.Delta => " type=delta",
                _ => "",
            };
            var on = string.Join(" AND ", x.Equivalences.Select(c => string.Join(" = ", c.Select(m => Scalar(m, options)))));
            Line(depth, x.Equivalences.IsEmpty ? $"CrossJoin{kind}" : $"Join on=({on}){kind}", x);
            if (x.Implementation is JoinImplementation.NotChosen)
                return;
            Line(depth + 1, "implementation", null);
            if (x.Implementation is JoinImplementation.Linear linear)
                Line(depth + 2, Path(x, linear.Start, linear.Steps), null);
            else if (x.Implementation is JoinImplementation.Delta delta)
            {
                for (var i = 0; i < delta.Paths.Count; i++)
                    Line(depth + 2, Path(x, i, delta.Paths[i]), null);
            }
        }

        private string Path(MirRelationExpr.Join x, int start, ValueArray<JoinStep> steps) =>
            string.Join(" » ", steps.Select(s => $"{InputName(x, s.Input)}[{(s.Key.IsEmpty ? "×" : List(s.Key))}]").Prepend(InputName(x, start)));

        private string InputName(MirRelationExpr.Join x, int input)
        {
            var expr = x.Inputs[input];
            while (expr is MirRelationExpr.ArrangeBy or MirRelationExpr.Filter or MirRelationExpr.Project or MirRelationExpr.Map)
                expr = expr.Children.First();
            return expr switch
            {
                MirRelationExpr.Get { Id: Id.Global g } => $"%{input}:{options.Name(g.GlobalId)}",
                MirRelationExpr.Get g => $"%{input}:{g.Id}",
                _ => $"%{input}",
            };
        }

        private string List(ValueArray<MirScalarExpr> exprs) => string.Join(", ", exprs.Select(e => Scalar(e, options)));

        private static string Hints(bool monotonic, ulong? groupSize) =>
            (monotonic ? " monotonic" : "") + (groupSize is { } size ? $" exp_group_size={size}" : "");

        private void Line(int depth, string text, MirRelationExpr? arity)
        {
            _text.Append(' ', depth * 2).Append(text);
            if (options.ShowArity && arity is not null)
                _text.Append($" // {{ arity: {arity.Arity()} }}");
            _text.Append('\n');
        }
    }
}
