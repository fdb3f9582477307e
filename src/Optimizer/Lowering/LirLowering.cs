using System.Diagnostics;
using System.Runtime.CompilerServices;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Optimizer;

/// <summary>
/// MIR → LIR. Maps, filters and projects are fused into the operator below them; existing arrangements are read where they fit; column
/// types are those that the plan as lowered gives, so that each node's rows are laid out as its consumer expects.
/// </summary>
/// <remarks>One instance lowers one dataflow: it gathers the imports. The plan may be any MIR, optimised or not.</remarks>
internal sealed partial class LirLowering
{
    private readonly IIndexOracle _indexes;
    private readonly Dictionary<int, Lowered> _locals = [];
    private readonly SourceReads _reads;
    private readonly SortedDictionary<GlobalId, SourceImport> _sources = [];
    private readonly SortedDictionary<GlobalId, IndexImport> _indexImports = [];

    public LirLowering(MirRelationExpr plan, IIndexOracle indexes)
    {
        _indexes = indexes;
        _reads = new SourceReads(plan, indexes);
    }

    /// <summary>A plan and the arrangements that it offers at no cost.</summary>
    private sealed record Lowered(LirRelationExpr Plan, ValueArray<ArrangementKey> Arrangements)
    {
        public Lowered(LirRelationExpr plan) : this(plan, [])
        {
        }
    }

    public ValueArray<SourceImport> SourceImports => _sources.Values.ToValueArray();

    public ValueArray<IndexImport> IndexImports => _indexImports.Values.ToValueArray();

    /// <summary>The plan, giving rows of exactly these column types.</summary>
    public LirRelationExpr Lower(MirRelationExpr plan, ValueArray<ColumnType> columns) => Coerce(Lower(plan).Plan, columns);

    /// <summary>Reads that are not part of a plan: an index on a bare collection.</summary>
    public void Import(MirRelationExpr.Get get) => Lower(get);

    private Lowered Lower(MirRelationExpr expr)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var (mfp, input) = Mfps.Extract(expr);
        mfp = mfp.Optimize();
        var (fused, temporal) = TemporalFilters.Split(mfp);
        var lowered = LowerInput(input, fused);
        return temporal is null
            ? lowered
            : new Lowered(new LirRelationExpr.MapFilterProject(lowered.Plan, temporal, temporal.TypeOf(lowered.Plan.Columns)));
    }

    private Lowered LowerInput(MirRelationExpr input, Mfp mfp)
    {
        switch (input)
        {
            case MirRelationExpr.Get { Id: Id.Global } x:
                return LowerGlobal(x, mfp, null);
            case MirRelationExpr.Get { Id: Id.Local local } x:
                var value = _locals[local.Number];
                var columns = mfp.TypeOf(value.Plan.Columns);
                return new Lowered(
                    new LirRelationExpr.Get(x.Id, null, null, mfp, columns),
                    mfp.IsIdentity ? value.Arrangements : []);
            case MirRelationExpr.Let x:
                var bound = Lower(x.Value);
                _locals[x.LocalId] = bound;
                var body = Lower(mfp.Apply(x.Body));
                _locals.Remove(x.LocalId);
                return body with { Plan = new LirRelationExpr.Let(x.LocalId, bound.Plan, body.Plan, body.Plan.Columns) };
            case MirRelationExpr.LetRec x:
                // What refers to a binding sees the declared columns, and nothing arranged: the collection changes from round to round.
                foreach (var binding in x.Bindings)
                {
                    _locals[binding.LocalId] = new Lowered(
                        new LirRelationExpr.Get(new Id.Local(binding.LocalId), null, null, Mfp.Identity(binding.Columns.Count), binding.Columns));
                }

                var bindings = x.Bindings.Select(b => new LirRecursiveBinding(b.LocalId, Lower(b.Value, b.Columns), b.Limit));
                body = Lower(mfp.Apply(x.Body));
                foreach (var binding in x.Bindings)
                    _locals.Remove(binding.LocalId);
                return new Lowered(new LirRelationExpr.LetRec(bindings, body.Plan, body.Plan.Columns));
            case MirRelationExpr.Constant x:
                return After(new LirRelationExpr.Constant(x.Rows, x.Error, x.Type.Columns), mfp);
            case MirRelationExpr.FlatMap x:
                var from = Lower(x.Input).Plan;
                foreach (var arg in x.Args)
                    TemporalFilters.CheckFree(arg);
                return new Lowered(new LirRelationExpr.FlatMap(from, x.Func, x.Inner, x.Args, x.Output, mfp, mfp.TypeOf([.. from.Columns, .. x.Output])));
            case MirRelationExpr.Join x:
                return LowerJoin(x, mfp);
            case MirRelationExpr.Reduce x:
                return LowerReduce(x, mfp);
            case MirRelationExpr.TopK x:
                from = Lower(x.Input).Plan;
                return After(
                    x.Limit is null && x.Offset == 0 ? from : new LirRelationExpr.TopK(from, x.GroupKey, x.OrderKey, x.Limit, x.Offset, from.Columns),
                    mfp);
            case MirRelationExpr.Window x:
                from = Unconsolidated(Lower(x.Input).Plan);
                return After(
                    new LirRelationExpr.Window(from, x.PartitionKey, x.OrderKey, x.Calls, [.. from.Columns, .. x.Calls.Select(c => c.Output)]), mfp);
            case MirRelationExpr.Negate x:
                from = Lower(x.Input).Plan;
                return After(new LirRelationExpr.Negate(from, from.Columns), mfp);
            case MirRelationExpr.Threshold x:
                from = Unconsolidated(Lower(x.Input).Plan);
                return After(new LirRelationExpr.Threshold(from, from.Columns), mfp);
            case MirRelationExpr.Union x:
                return After(LowerUnion(x), mfp);
            case MirRelationExpr.ArrangeBy x:
                return LowerArrangeBy(x, mfp);
            default:
                throw new UnreachableException(input.GetType().Name);
        }
    }

    private static Lowered After(LirRelationExpr plan, Mfp mfp) =>
        new(mfp.IsIdentity ? plan : new LirRelationExpr.MapFilterProject(plan, mfp, mfp.TypeOf(plan.Columns)));

    /// <param name="wanted">The arrangement that the consumer would use; null if any will do.</param>
    private Lowered LowerGlobal(MirRelationExpr.Get get, Mfp mfp, ArrangementKey? wanted)
    {
        var id = ((Id.Global)get.Id).GlobalId;
        var available = _indexes.IndexesOn(id);
        if (available.Count == 0)
            return LowerSource(id, get, mfp);

        var access = AccessPath.Choose(available, mfp, wanted);
        ImportIndex(access.Index, get.Type);
        var columns = access.Mfp.TypeOf(get.Type.Columns);
        return new Lowered(
            new LirRelationExpr.Get(get.Id, access.Index.Key, access.Literals, access.Mfp, columns),
            access.Mfp.IsIdentity && access.Keys is null ? [access.Index.Key] : []);
    }

    private void ImportIndex(AvailableIndex index, RelationType type) =>
        _indexImports.TryAdd(index.Id, new IndexImport(index.Id, new IndexDesc(index.OnId, index.Key), type));

    private Lowered LowerSource(GlobalId id, MirRelationExpr.Get get, Mfp mfp)
    {
        var pushed = _reads.Pushed(id, get.Type.Arity);
        if (!_sources.TryGetValue(id, out var import))
        {
            import = new SourceImport(id, get.Type, null, pushed, pushed.TypeOf(get.Type.Columns));
            _sources.Add(id, import);
        }

        var rest = _reads.Remaining(id, mfp, pushed);
        return new Lowered(new LirRelationExpr.Get(get.Id, null, null, rest, rest.TypeOf(import.Columns)));
    }

    private Lowered LowerArrangeBy(MirRelationExpr.ArrangeBy x, Mfp mfp)
    {
        var keys = x.Keys.Select(k => new ArrangementKey(k));
        var input = x.Input is MirRelationExpr.Get { Id: Id.Global } get
            ? LowerGlobal(get, Mfp.Identity(get.Type.Arity), keys.Count > 0 ? keys[0] : null)
            : Lower(x.Input);
        if (!mfp.IsIdentity)
            return After(input.Plan, mfp);
        return Arrange(input, keys);
    }

    private static Lowered Arrange(Lowered input, ValueArray<ArrangementKey> keys)
    {
        var missing = keys.Where(k => !input.Arrangements.Contains(k)).ToValueArray();
        return missing.IsEmpty
            ? input
            : new Lowered(new LirRelationExpr.ArrangeBy(input.Plan, missing, input.Plan.Columns), [.. input.Arrangements, .. missing]);
    }

    /// <summary>Inputs of one layout; consolidated where a part is subtracted and nothing after it consolidates anyway.</summary>
    private LirRelationExpr LowerUnion(MirRelationExpr.Union x)
    {
        ValueArray<LirRelationExpr> inputs = [.. Enumerable.Prepend(x.Inputs, x.Base).Select(i => Lower(i).Plan)];
        var columns = inputs[0].Columns
            .Select((c, i) => c with { IsNullable = inputs.Any(input => input.Columns[i].IsNullable) })
            .ToValueArray();
        var subtracts = Enumerable.Prepend(x.Inputs, x.Base).Any(i => Mfps.Extract(i).Input is MirRelationExpr.Negate);
        return new LirRelationExpr.Union(inputs.Select(i => Coerce(i, columns)), subtracts, columns);
    }

    /// <summary>What is arranged next is consolidated by that.</summary>
    private static LirRelationExpr Unconsolidated(LirRelationExpr plan) => plan is LirRelationExpr.Union u ? u with { Consolidate = false } : plan;

    /// <summary>The same rows laid out for <paramref name="columns"/>, which may differ in nullability and modifiers only.</summary>
    private static LirRelationExpr Coerce(LirRelationExpr plan, ValueArray<ColumnType> columns) => plan.Columns == columns
        ? plan
        : plan switch
        {
            // These write their rows by an Mfp or from values: it costs nothing to write another layout.
            LirRelationExpr.MapFilterProject x => x with { Columns = columns },
            LirRelationExpr.Constant x => x with { Columns = columns },
            LirRelationExpr.LetRec x => x with { Body = Coerce(x.Body, columns), Columns = columns },
            LirRelationExpr.Let x => x with { Body = Coerce(x.Body, columns), Columns = columns },
            _ => new LirRelationExpr.MapFilterProject(plan, Mfp.Identity(columns.Count), columns),
        };

    private Lowered LowerReduce(MirRelationExpr.Reduce x, Mfp mfp)
    {
        foreach (var key in x.GroupKey)
            TemporalFilters.CheckFree(key);
        var input = Unconsolidated(Lower(x.Input).Plan);
        var aggregates = x.Aggregates.Select(a =>
        {
            foreach (var arg in a.Args)
                TemporalFilters.CheckFree(arg);

            // min, max, any and all do not see duplicates.
            var distinct = a.Distinct && a.Func is not (AggregateFunc.Min or AggregateFunc.Max or AggregateFunc.Any or AggregateFunc.All);
            return new LirAggregate(a with { Distinct = distinct, Output = a.TypeOf(input.Columns) }, KindOf(a.Func));
        });
        ValueArray<ColumnType> grouped = [.. x.GroupKey.Select(k => k.TypeOf(input.Columns)), .. aggregates.Select(a => a.Expr.Output)];
        return new Lowered(new LirRelationExpr.Reduce(input, x.GroupKey, aggregates, mfp, mfp.TypeOf(grouped)));
    }

    /// <summary>How an aggregate is maintained.</summary>
    internal static ReduceKind KindOf(AggregateFunc func) => func switch
    {
        AggregateFunc.Min or AggregateFunc.Max => ReduceKind.Hierarchical,
        AggregateFunc.Count or AggregateFunc.Any or AggregateFunc.All
            or AggregateFunc.SumInt16 or AggregateFunc.SumInt32 or AggregateFunc.SumInt64
            or AggregateFunc.SumUInt16 or AggregateFunc.SumUInt32 or AggregateFunc.SumUInt64
            or AggregateFunc.SumFloat32 or AggregateFunc.SumFloat64 or AggregateFunc.SumNumeric or AggregateFunc.SumInterval => ReduceKind.Accumulable,
        _ => ReduceKind.Basic,
    };
}
