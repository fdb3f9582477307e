using System.Diagnostics;
using System.Text;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>The text of physical plans: an operator a line behind an arrow, its details and then its inputs indented below it.</summary>
public static class LirPrinter
{
    /// <param name="indexes">The indexes that the plan's dataflow imports: they tell the types of lookup keys.</param>
    public static string Print(LirRelationExpr plan, IEnumerable<IndexImport> indexes, Func<GlobalId, string> names)
    {
        var text = new StringBuilder();
        new Writer(text, [.. indexes], names).Write(plan, 0);
        return text.ToString();
    }

    private sealed class Writer(StringBuilder text, List<IndexImport> indexes, Func<GlobalId, string> names)
    {
        public void Write(LirRelationExpr plan, int depth)
        {
            switch (plan)
            {
                case LirRelationExpr.Constant x:
                    Line(depth, x.Error is { } error ? $"→Error \"{error.Message}\"" : $"→Constant ({x.Rows.Count} rows)");
                    return;
                case LirRelationExpr.Get x:
                    depth = Mfp(depth, x.Mfp);
                    Line(depth, Read(x));
                    return;
                case LirRelationExpr.Let:
                    WriteLets(plan, depth);
                    return;
                case LirRelationExpr.LetRec x:
                    Line(depth, $"→With Mutually Recursive{MirPrinter.Limit(x.Bindings[0].Limit)}");
                    foreach (var binding in x.Bindings)
                    {
                        Line(depth + 1, $"cte l{binding.LocalId} =");
                        Write(binding.Value, depth + 2);
                    }

                    Line(depth, "→Return");
                    Write(x.Body, depth + 1);
                    return;
                case LirRelationExpr.MapFilterProject x:
                    if (x.Mfp.IsIdentity)
                    {
                        Write(x.Input, depth);
                        return;
                    }

                    depth = Mfp(depth, x.Mfp);
                    Write(x.Input, depth);
                    return;
                case LirRelationExpr.FlatMap x:
                    depth = Mfp(depth, x.MfpAfter);
                    var func = x.Inner is { } inner ? $"{MirPrinter.NameOf(inner)}({List(x.Args)}) with ordinality" : $"{MirPrinter.NameOf(x.Func)}({List(x.Args)})";
                    Line(depth, $"→Table Function {func}");
                    break;
                case LirRelationExpr.Join x:
                    WriteJoin(x, depth);
                    return;
                case LirRelationExpr.Reduce x:
                    depth = Mfp(depth, x.MfpAfter);
                    WriteReduce(x, depth);
                    break;
                case LirRelationExpr.TopK x:
                    Line(depth, x.Limit is MirScalarExpr.Literal { Value: { IsNull: false } one } && one.AsInt64 == 1 && x.Offset == 0 ? "→Non-monotonic Top1" : "→Non-monotonic TopK");
                    if (!x.GroupKey.IsEmpty)
                        Line(depth + 1, $"Group By: {string.Join(", ", x.GroupKey.Select(c => $"#{c}"))}");
                    if (!x.OrderKey.IsEmpty)
                        Line(depth + 1, $"Order By: {string.Join(", ", x.OrderKey.Select(MirPrinter.Order))}");
                    if (x.Limit is not null)
                        Line(depth + 1, $"Limit: {MirPrinter.Print(x.Limit)}");
                    if (x.Offset > 0)
                        Line(depth + 1, $"Offset: {x.Offset}");
                    break;
                case LirRelationExpr.Window x:
                    Line(depth, "→Window Functions");
                    if (!x.PartitionKey.IsEmpty)
                        Line(depth + 1, $"Partition By: {string.Join(", ", x.PartitionKey.Select(c => $"#{c}"))}");
                    if (!x.OrderKey.IsEmpty)
                        Line(depth + 1, $"Order By: {string.Join(", ", x.OrderKey.Select(MirPrinter.Order))}");
                    Line(depth + 1, $"Functions: {string.Join(", ", x.Calls.Select(MirPrinter.Call))}");
                    break;
                case LirRelationExpr.Negate:
                    Line(depth, "→Negate Diffs");
                    break;
                case LirRelationExpr.Threshold:
                    Line(depth, "→Threshold Diffs");
                    break;
                case LirRelationExpr.Union x:
                    Line(depth, x.Consolidate ? "→Consolidating Union" : "→Union");
                    break;
                case LirRelationExpr.ArrangeBy x:
                    Line(depth, "→Arrange");
                    Line(depth + 1, $"Keys: {string.Join(", ", x.Keys.Select(k => $"[{List(k.Exprs)}]"))}");
                    break;
                default:
                    throw new UnreachableException(plan.GetType().Name);
            }

            foreach (var child in plan.Children)
                Write(child, depth + 1);
        }

        private string Read(LirRelationExpr.Get x)
        {
            var name = x.Id is Id.Global g ? names(g.GlobalId) : x.Id.ToString();
            if (x.Key is null)
                return x.Id is Id.Global ? $"→Stream {name}" : $"→Read {name}";
            if (x.Literals is { } literals)
            {
                var type = indexes.First(i => x.Id == new Id.Global(i.Desc.OnId)).Type;
                return $"→Index Lookup on {name} [{List(x.Key.Exprs)}] {ExplainText.Lookup(literals, ExplainText.KeyTypes(x.Key, type))}";
            }

            return $"→Arranged {name} [{List(x.Key.Exprs)}]";
        }

        private void WriteLets(LirRelationExpr plan, int depth)
        {
            Line(depth, "→With");
            while (plan is LirRelationExpr.Let let)
            {
                Line(depth + 1, $"cte l{let.LocalId} =");
                Write(let.Value, depth + 2);
                plan = let.Body;
            }

            Line(depth, "→Return");
            Write(plan, depth + 1);
        }

        private void WriteJoin(LirRelationExpr.Join x, int depth)
        {
            if (x.Plan is LirJoinPlan.Linear linear)
            {
                depth = Mfp(depth, linear.Stages[^1].Closure, onlyIfMaps: true);
                Line(depth, $"→Differential Join {Path(linear.Source, linear.Stages)}");
                Closures(depth + 1, linear.Stages);
            }
            else if (x.Plan is LirJoinPlan.Delta delta)
            {
                Line(depth, $"→Delta Join {string.Join(" ", delta.Paths.Select(p => $"[{Path(p.Source, p.Stages)}]"))}");
            }

            foreach (var input in x.Inputs)
                Write(input, depth + 1);
        }

        private void Closures(int depth, ValueArray<LirJoinStage> stages)
        {
            for (var i = 0; i < stages.Count; i++)
            {
                var filters = stages[i].Closure.Predicates;
                if (!filters.IsEmpty)
                    Line(depth, $"Stage {i} filter: {string.Join(" AND ", filters.Select(p => MirPrinter.Print(p.Expr)))}");
            }
        }

        private static string Path(int source, ValueArray<LirJoinStage> stages) =>
            string.Join(" » ", stages.Select(s => $"%{s.Input}[{(s.LookupKey.Exprs.IsEmpty ? "×" : List(s.LookupKey.Exprs))}]").Prepend($"%{source}"));

        private void WriteReduce(LirRelationExpr.Reduce x, int depth)
        {
            var kinds = x.Aggregates.Select(a => a.Kind).AsEnumerable().Distinct().ToList();
            Line(depth, kinds switch
            {
                [] => "→Distinct",
                [ReduceKind.Accumulable] => "→Accumulable Reduce",
                [ReduceKind.Hierarchical] => "→Hierarchical Reduce",
                [ReduceKind.Basic] => "→Non-incremental Reduce",
                _ => "→Collated Reduce",
            });
            if (!x.GroupKey.IsEmpty)
                Line(depth + 1, $"{(kinds.Count == 0 ? "Project" : "Group By")}: {List(x.GroupKey)}");
            if (kinds.Count > 0)
                Line(depth + 1, $"Aggregates: {string.Join(", ", x.Aggregates.Select(a => MirPrinter.Print(a.Expr)))}");
        }

        /// <summary>Map, filter and project as an operator of its own; the depth of what is below it.</summary>
        private int Mfp(int depth, Mfp mfp, bool onlyIfMaps = false)
        {
            if (mfp.IsIdentity || (onlyIfMaps && mfp.Maps.IsEmpty))
                return depth;
            Line(depth, "→Map/Filter/Project");
            if (mfp.Projection != ValueArray.Range(mfp.InputArity + mfp.Maps.Count))
                Line(depth + 1, $"Project: {MirPrinter.Columns(mfp.Projection)}");
            if (!mfp.Predicates.IsEmpty)
                Line(depth + 1, $"Filter: {string.Join(" AND ", mfp.Predicates.Select(p => MirPrinter.Print(p.Expr)))}");
            if (!mfp.Maps.IsEmpty)
                Line(depth + 1, $"Map: {List(mfp.Maps)}");
            return depth + 1;
        }

        private static string List(ValueArray<MirScalarExpr> exprs) => string.Join(", ", exprs.Select(e => MirPrinter.Print(e)));

        private void Line(int depth, string line) => text.Append(' ', depth * 2).Append(line).Append('\n');
    }
}
