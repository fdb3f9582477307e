using System.Text;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>What EXPLAIN prints of plans: a heading, the operators indented below it, then what they read.</summary>
public static class ExplainText
{
    /// <summary>A logical plan by itself.</summary>
    public static string Mir(MirRelationExpr plan, Func<GlobalId, string> names) => MirPrinter.Print(plan, Options(names, IndexList.None, isDecided: false));

    /// <summary>The optimised plan of a dataflow, and the indexes it uses.</summary>
    public static string Optimized(PlannedDataflow planned, Func<GlobalId, string> names)
    {
        var text = new StringBuilder("Explained Query:\n");
        Indent(text, 1, MirPrinter.Print(planned.Plan, Options(names, Imported(planned.Dataflow))));
        Sources(text, planned.Dataflow, names);
        Usages(text, planned.Dataflow, names);
        return text.ToString();
    }

    /// <summary>The physical plan of a dataflow.</summary>
    public static string Physical(DataflowDescription dataflow, Func<GlobalId, string> names)
    {
        var text = new StringBuilder();
        foreach (var built in dataflow.Objects)
        {
            text.Append(built.Id.IsTransient ? "Explained Query" : names(built.Id)).Append(":\n");
            Indent(text, 1, LirPrinter.Print(built.Plan, dataflow.IndexImports, names));
        }

        foreach (var index in dataflow.IndexExports.Where(i => !i.Id.IsTransient))
        {
            text.Append($"{names(index.Id)}:\n");
            Indent(text, 1, $"→Arrange ({string.Join(", ", index.Desc.Key.Exprs.Select(k => MirPrinter.Print(k)))})\n  →Read {names(index.Desc.OnId)}\n");
        }

        Sources(text, dataflow, names);
        Usages(text, dataflow, names);
        return text.ToString();
    }

    /// <summary>The optimised plan of a one-shot query.</summary>
    public static string Peek(PeekPlan plan, RowSetFinishing finishing, Func<GlobalId, string> names)
    {
        var text = new StringBuilder();
        switch (plan)
        {
            case PeekPlan.FastPathIndex x:
                var read = (MirRelationExpr.Get)Mfps.Extract(x.Plan).Input;
                FastPath(text, finishing, x.ResultColumns.Count, MfpLines(x.Mfp), $"ReadIndex on={Short(names(x.OnId))} {Short(names(x.IndexId))}=[{Lookup(x.LiteralKeys, KeyTypes(x.Key, read.Type))}]");
                text.Append($"\nUsed Indexes:\n  - {names(x.IndexId)} ({(x.LiteralKeys is null ? FullScan(finishing) : "lookup")})\n");
                return text.ToString();
            case PeekPlan.FastPathPersist x:
                FastPath(text, finishing, x.ResultColumns.Count, MfpLines(x.Mfp), $"PeekPersist {names(x.Id)}");
                return text.ToString();
            case PeekPlan.SlowPath x:
                text.Append("Explained Query:\n");
                var depth = Finish(text, finishing, x.ResultColumns.Count);
                Indent(text, depth, MirPrinter.Print(x.Plan, Options(names, Imported(x.Dataflow))));
                Sources(text, x.Dataflow, names);
                Usages(text, x.Dataflow, names);
                return text.ToString();
            default:
                text.Append("Explained Query (fast path):\n");
                depth = Finish(text, finishing, plan.ResultColumns.Count);
                Indent(text, depth, MirPrinter.Print(plan.Plan, Options(names, IndexList.None)));
                return text.ToString();
        }
    }

    /// <summary>The physical plan of a one-shot query; that of a fast path is what it is.</summary>
    public static string PeekPhysical(PeekPlan plan, RowSetFinishing finishing, Func<GlobalId, string> names)
    {
        if (plan is not PeekPlan.SlowPath x)
            return Peek(plan, finishing, names);
        var text = new StringBuilder("Explained Query:\n");
        var depth = Finish(text, finishing, x.ResultColumns.Count);
        foreach (var built in x.Dataflow.Objects)
            Indent(text, depth, LirPrinter.Print(built.Plan, x.Dataflow.IndexImports, names));
        Sources(text, x.Dataflow, names);
        Usages(text, x.Dataflow, names);
        return text.ToString();
    }

    /// <param name="isDecided">Whether it is known what is read from storage and what from indexes.</param>
    private static PlanTextOptions Options(Func<GlobalId, string> names, IIndexOracle indexes, bool isDecided = true) => new()
    {
        Name = names,
        Access = (get, context) => Access(get, context, names, indexes, isDecided),
    };

    private static string Access(
        MirRelationExpr.Get get, GetContext context, Func<GlobalId, string> names, IIndexOracle indexes, bool isDecided)
    {
        var id = ((Id.Global)get.Id).GlobalId;
        var available = indexes.IndexesOn(id);
        if (available.Count == 0)
            return isDecided ? $"ReadStorage {names(id)}" : $"Get {names(id)}";
        if (context.Join is not null && !context.ArrangedBy.IsEmpty)
        {
            var usage = context.Join is JoinImplementation.Delta ? "delta join lookup" : "differential join";
            var used = available.Where(i => context.ArrangedBy.Contains(i.Key.Exprs)).ToList();
            if (used.Count > 0)
            {
                return $"ReadIndex on={Short(names(id))} {string.Join(" ", used.Select(i => $"{Short(names(i.Id))}=[{usage}]"))}";
            }
        }

        var access = AccessPath.Choose(available, Mfp.Identity(get.Type.Arity).Filter(context.Filters), null);
        return $"ReadIndex on={Short(names(id))} {Short(names(access.Index.Id))}=[{Lookup(access.Literals, KeyTypes(access.Index.Key, get.Type))}]";
    }

    private static IndexList Imported(DataflowDescription dataflow) =>
        new(dataflow.IndexImports.Select(i => new AvailableIndex(i.Id, i.Desc.OnId, i.Desc.Key)).AsEnumerable());

    private static string FullScan(RowSetFinishing finishing) =>
        finishing.Limit is not null && finishing.OrderBy.IsEmpty ? "fast path limit" : "*** full scan ***";

    internal static string Lookup(ValueArray<ValueArray<Datum>>? literals, ValueArray<SqlType> types)
    {
        return literals switch
        {
            null => "*** full scan ***",
            { Count: 1 } one => $"lookup value={Row(one[0])}",
            { } many => $"lookup values=[{string.Join("; ", many.Select(Row))}]",
        };

        string Row(ValueArray<Datum> row) => $"({string.Join(", ", row.Select((v, i) => MirPrinter.Literal(v, types[i])).AsEnumerable())})";
    }

    internal static ValueArray<SqlType> KeyTypes(ArrangementKey key, RelationType type) => key.Exprs.Select(e => e.TypeOf(type.Columns).Type);

    private static void FastPath(StringBuilder text, RowSetFinishing finishing, int arity, List<string> operators, string leaf)
    {
        text.Append("Explained Query (fast path):\n");
        var depth = Finish(text, finishing, arity);
        foreach (var line in operators.Append(leaf))
            text.Append(' ', 2 * depth++).Append(line).Append('\n');
    }

    private static List<string> MfpLines(Mfp mfp)
    {
        var lines = new List<string>();
        if (mfp.Projection != ValueArray.Range(mfp.InputArity + mfp.Maps.Count))
            lines.Add($"Project ({MirPrinter.Columns(mfp.Projection)})");
        var late = mfp.Predicates.Where(p => p.Before > mfp.InputArity).ToList();
        var early = mfp.Predicates.Where(p => p.Before == mfp.InputArity).ToList();
        if (late.Count > 0)
            lines.Add($"Filter {string.Join(" AND ", late.Select(p => MirPrinter.Print(p.Expr)))}");
        if (mfp.Maps.Count > 0)
            lines.Add($"Map ({string.Join(", ", mfp.Maps.Select(m => MirPrinter.Print(m)))})");
        if (early.Count > 0)
            lines.Add($"Filter {string.Join(" AND ", early.Select(p => MirPrinter.Print(p.Expr)))}");
        return lines;
    }

    /// <summary>The finishing as a line of its own, unless it does nothing; the depth of what is below it.</summary>
    private static int Finish(StringBuilder text, RowSetFinishing finishing, int arity)
    {
        if (finishing.IsTrivial(arity))
            return 1;
        text.Append("  Finish");
        if (!finishing.OrderBy.IsEmpty)
            text.Append($" order_by=[{string.Join(", ", finishing.OrderBy.Select(MirPrinter.Order))}]");
        if (finishing.Limit is { } limit)
            text.Append($" limit={limit}");
        if (finishing.Offset > 0)
            text.Append($" offset={finishing.Offset}");
        text.Append($" output=[{MirPrinter.Columns(finishing.Project)}]\n");
        return 2;
    }

    /// <summary>What each storage import drops while reading.</summary>
    private static void Sources(StringBuilder text, DataflowDescription dataflow, Func<GlobalId, string> names)
    {
        foreach (var source in dataflow.SourceImports)
        {
            text.Append($"\nSource {names(source.Id)}\n");
            if (!source.Mfp.Predicates.IsEmpty)
                text.Append($"  filter=({string.Join(" AND ", source.Mfp.Predicates.Select(p => MirPrinter.Print(p.Expr)))})\n");
        }
    }

    private static void Usages(StringBuilder text, DataflowDescription dataflow, Func<GlobalId, string> names)
    {
        if (dataflow.IndexImports.IsEmpty)
            return;
        text.Append("\nUsed Indexes:\n");
        foreach (var (index, usages) in IndexUsages.Of(dataflow).OrderBy(u => u.Key))
            text.Append($"  - {names(index)} ({string.Join(", ", usages)})\n");
    }

    private static void Indent(StringBuilder text, int depth, string block)
    {
        foreach (var line in block.Split('\n').Where(l => l.Length > 0))
            text.Append(' ', 2 * depth).Append(line).Append('\n');
    }

    private static string Short(string name) => name[(name.LastIndexOf('.') + 1)..];
}
