using System.Globalization;
using System.Text;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>The text of EXPLAIN RAW PLAN: an operator a line, inputs indented by two under it.</summary>
public static class HirPrinter
{
    /// <summary>A query with its finishing.</summary>
    public static string Print(ISqlCatalog catalog, QueryPlan plan)
    {
        var text = new StringBuilder();
        var finishing = plan.Finishing;
        var indent = 0;
        if (!finishing.IsTrivial(plan.Hir.Arity))
        {
            text.Append("Finish");
            if (!finishing.OrderBy.IsEmpty)
                text.Append(CultureInfo.InvariantCulture, $" order_by=[{string.Join(", ", finishing.OrderBy.Select(Order))}]");
            if (finishing.Limit is { } limit)
                text.Append(CultureInfo.InvariantCulture, $" limit={limit}");
            if (finishing.Offset > 0)
                text.Append(CultureInfo.InvariantCulture, $" offset={finishing.Offset}");
            text.Append(CultureInfo.InvariantCulture, $" output=[{Columns(finishing.Project)}]\n");
            indent = 1;
        }

        Relation(catalog, plan.Hir, indent, text);
        return text.ToString();
    }

    /// <summary>A relation alone.</summary>
    public static string Print(ISqlCatalog catalog, HirRelationExpr relation)
    {
        var text = new StringBuilder();
        Relation(catalog, relation, 0, text);
        return text.ToString();
    }

    private static void Relation(ISqlCatalog catalog, HirRelationExpr e, int indent, StringBuilder text)
    {
        void Line(string line) => text.Append(' ', indent * 2).Append(line).Append('\n');
        List<HirRelationExpr> subqueries = [];
        string S(HirScalarExpr s) => Scalar(s, subqueries);
        switch (e)
        {
            case HirRelationExpr.Constant x:
                Line(x.Rows.IsEmpty ? "Constant <empty>" : "Constant");
                indent++;
                foreach (var row in x.Rows)
                    Line($"- ({string.Join(", ", row.Select(S))})");
                indent--;
                break;
            case HirRelationExpr.Get { Id: Id.Global id }:
                Line($"Get {catalog.GetItem(id.GlobalId)?.Name.ToString() ?? id.ToString()}");
                break;
            case HirRelationExpr.Get x:
                Line($"Get {x.Id}");
                break;
            case HirRelationExpr.Let x:
                Line("With");
                indent++;
                Line($"cte [l{x.LocalId} as {x.Name}] =");
                indent--;
                Relation(catalog, x.Value, indent + 2, text);
                Line("Return");
                break;
            case HirRelationExpr.LetRec x:
                Line($"With Mutually Recursive{MirPrinter.Limit(x.Limit)}");
                foreach (var binding in x.Bindings)
                {
                    indent++;
                    Line($"cte [l{binding.LocalId} as {binding.Name}] =");
                    indent--;
                    Relation(catalog, binding.Value, indent + 2, text);
                }

                Line("Return");
                break;
            case HirRelationExpr.Project x:
                Line($"Project ({Columns(x.Outputs)})");
                break;
            case HirRelationExpr.Map x:
                Line($"Map ({string.Join(", ", x.Scalars.Select(S))})");
                break;
            case HirRelationExpr.CallTable x:
                Line($"CallTable {x.Inner ?? x.Func}({string.Join(", ", x.Args.Select(S))}){(x.Inner is null ? "" : " with ordinality")}");
                break;
            case HirRelationExpr.Filter x:
                Line($"Filter {string.Join(" AND ", x.Predicates.Select(p => Operand(p, subqueries)))}");
                break;
            case HirRelationExpr.Join x:
                Line(x.Kind == JoinKind.Inner && x.On.Equals(HirScalarExpr.True)
                    ? "CrossJoin"
                    : $"{(x.Kind switch { JoinKind.LeftOuter => "LeftOuter", JoinKind.RightOuter => "RightOuter", JoinKind.FullOuter => "FullOuter", _ => "Inner" })}Join {S(x.On)}");
                break;
            case HirRelationExpr.Reduce x:
                {
                    var group = x.GroupKey.IsEmpty ? "" : $" group_by=[{Columns(x.GroupKey)}]";
                    var size = x.ExpectedGroupSize is { } n ? string.Create(CultureInfo.InvariantCulture, $" exp_group_size={n}") : "";
                    Line($"Reduce{group} aggregates=[{string.Join(", ", x.Aggregates.Select(a => Aggregate(a, subqueries)))}]{size}");
                    break;
                }

            case HirRelationExpr.Distinct:
                Line("Distinct");
                break;
            case HirRelationExpr.TopK x:
                {
                    var parts = new List<string> { "TopK" };
                    if (!x.GroupKey.IsEmpty)
                        parts.Add($"group_by=[{Columns(x.GroupKey)}]");
                    if (!x.OrderKey.IsEmpty)
                        parts.Add($"order_by=[{string.Join(", ", x.OrderKey.Select(Order))}]");
                    if (x.Limit is not null)
                        parts.Add($"limit={S(x.Limit)}");
                    if (x.Offset > 0)
                        parts.Add(string.Create(CultureInfo.InvariantCulture, $"offset={x.Offset}"));
                    if (x.ExpectedGroupSize is { } n)
                        parts.Add(string.Create(CultureInfo.InvariantCulture, $"exp_group_size={n}"));
                    Line(string.Join(' ', parts));
                    break;
                }

            default:
                Line(e.GetType().Name);
                break;
        }

        indent++;
        for (var i = 0; i < subqueries.Count; i++)
        {
            // Printed under the operator that holds them, in order of appearance.
            Line("Subquery");
            Relation(catalog, subqueries[i], indent + 1, text);
        }

        var inputs = e switch
        {
            HirRelationExpr.Let x => [x.Body],
            HirRelationExpr.LetRec x => [x.Body],
            _ => e.Inputs(),
        };
        foreach (var input in inputs)
            Relation(catalog, input, indent, text);
    }

    private static string Columns(IEnumerable<int> columns) => string.Join(", ", columns.Select(c => $"#{c}"));

    private static string Order(ColumnOrder o) => $"#{o.Column} {(o.Descending ? "desc" : "asc")} {(o.NullsLast ? "nulls_last" : "nulls_first")}";

    private static string Aggregate(HirAggregate a, List<HirRelationExpr> subqueries)
    {
        var name = a.Func.ToString().ToLowerInvariant();
        var args = a.Func == AggregateFunc.Count && a.Args is [HirScalarExpr.Literal] ? "*" : string.Join(", ", a.Args.Select(s => Scalar(s, subqueries)));
        var order = a.OrderBy.IsEmpty ? "" : $" order_by=[{string.Join(", ", a.OrderBy.Select(o => $"{Scalar(a.OrderKeys[o.Column], subqueries)} {(o.Descending ? "desc" : "asc")}"))}]";
        return $"{name}({(a.Distinct ? "distinct " : "")}{args}{order})";
    }

    private static string Operand(HirScalarExpr e, List<HirRelationExpr> subqueries) =>
        e is HirScalarExpr.Call { Func.Infix: not null, Args.Count: > 1 } ? $"({Scalar(e, subqueries)})" : Scalar(e, subqueries);

    private static string Scalar(HirScalarExpr e, List<HirRelationExpr> subqueries)
    {
        switch (e)
        {
            case HirScalarExpr.Column x:
                return new string('^', x.Level) is { Length: > 0 } up ? $"#{up}{x.Index}" : $"#{x.Index}";
            case HirScalarExpr.Parameter x:
                return $"${x.Number}";
            case HirScalarExpr.Literal x:
                return LiteralText.Of(x.LiteralType.Type, x.Value);
            case HirScalarExpr.CallUnmaterializable x:
                return x.Func.ToString() + "()";
            case HirScalarExpr.Call { Func.Infix: { } infix, Args.Count: > 1 } x:
                return string.Join($" {infix} ", x.Args.Select(a => Operand(a, subqueries)));
            case HirScalarExpr.Call { Args: [var only] } x when x.Func == ScalarFunctions.IsNull:
                return $"({Scalar(only, subqueries)}) IS NULL";
            case HirScalarExpr.Call { Args: [var only] } x when x.Func == ScalarFunctions.Not:
                return $"NOT({Scalar(only, subqueries)})";
            case HirScalarExpr.Call x:
                return $"{x.Func.Id}({string.Join(", ", x.Args.Select(a => Scalar(a, subqueries)))})";
            case HirScalarExpr.If x:
                return $"case when {Scalar(x.Condition, subqueries)} then {Scalar(x.Then, subqueries)} else {Scalar(x.Else, subqueries)} end";
            case HirScalarExpr.Exists x:
                subqueries.Add(x.Query);
                return $"exists(subquery {subqueries.Count})";
            case HirScalarExpr.Select x:
                subqueries.Add(x.Query);
                return $"select(subquery {subqueries.Count})";
            case HirScalarExpr.Windowed x:
                return $"{x.Window.Func}() over (partition by [{string.Join(", ", x.Window.PartitionBy.Select(p => Scalar(p, subqueries)))}] order by [{string.Join(", ", x.Window.Orders.Select(o => $"{Scalar(x.Window.OrderBy[o.Column], subqueries)} {(o.Descending ? "desc" : "asc")}"))}])";
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }
}

/// <summary>Literals as EXPLAIN writes them.</summary>
internal static class LiteralText
{
    public static string Of(SqlType type, Datum value)
    {
        if (value.IsNull)
            return "null";
        return type.Kind switch
        {
            ScalarKind.Bool => value.AsBool ? "true" : "false",
            ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 or ScalarKind.UInt16 or ScalarKind.UInt32 or ScalarKind.UInt64
                or ScalarKind.Oid or ScalarKind.MzTimestamp or ScalarKind.Float32 or ScalarKind.Float64 or ScalarKind.Numeric => DatumText.Format(type, value),
            _ => $"\"{DatumText.Format(type, value)}\"",
        };
    }
}
