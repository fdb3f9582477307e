using System.Diagnostics;
using System.Runtime.CompilerServices;
using Materialize.Compute.Kernels;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Expr;
using Materialize.Protocol;
using Materialize.Repr;

namespace Materialize.Compute.Render;

/// <summary>
/// Turns a plan into operators, node by node, at one worker. Every worker renders the same plan in the same order, which is all
/// that makes their operators meet; nothing here may depend on the worker but who feeds a constant.
/// </summary>
/// <param name="outside">Finds collections that were not made here: those around a loop.</param>
/// <param name="feed">Makes a collection of constant rows, each with its diff.</param>
internal sealed partial class Render<TTime>(Scope<TTime> scope, Func<Id, Bundle<TTime>> outside, Func<string, RowWriter, long[], Stream<TTime>> feed)
    where TTime : unmanaged, ITime<TTime>
{
    private readonly Dictionary<Id, Bundle<TTime>> _collections = [];

    /// <summary>Makes a collection known under an id: an import, or an object just built.</summary>
    public void Bind(Id id, Bundle<TTime> bundle) => _collections[id] = bundle;

    public Bundle<TTime> Collection(GlobalId id) => Collection(new Id.Global(id));

    public Bundle<TTime>? Known(Id id) => _collections.GetValueOrDefault(id);

    private Bundle<TTime> Collection(Id id)
    {
        if (!_collections.TryGetValue(id, out var bundle))
            _collections.Add(id, bundle = outside(id));
        return bundle;
    }

    /// <summary>The collection that <paramref name="plan"/> describes, its rows laid out as the plan's columns.</summary>
    public Bundle<TTime> Plan(LirRelationExpr plan)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        try
        {
            return plan switch
            {
                LirRelationExpr.Constant x => Constant(x),
                LirRelationExpr.Get x => Get(x),
                LirRelationExpr.Let x => Let(x),
                LirRelationExpr.LetRec x => LetRec(x),
                LirRelationExpr.MapFilterProject x => MapFilterProject(x),
                LirRelationExpr.FlatMap x => FlatMap(x),
                LirRelationExpr.Join x => Join(x),
                LirRelationExpr.Reduce x => Reduce(x),
                LirRelationExpr.TopK x => TopK(x),
                LirRelationExpr.Window x => Window(x),
                LirRelationExpr.Negate x => Negate(x),
                LirRelationExpr.Threshold x => Threshold(x),
                LirRelationExpr.Union x => Union(x),
                LirRelationExpr.ArrangeBy x => ArrangeBy(x),
                _ => throw new UnreachableException(plan.GetType().Name),
            };
        }
        catch (UnsupportedPlanException e)
        {
            return Failed(plan.Columns, e.Error);
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or NotSupportedException or KeyNotFoundException)
        {
            // A plan that makes no sense is our bug, but one query's: the others that this replica serves go on. Every worker gets here
            // at the same node, so their operators still match.
            return Failed(plan.Columns, new EvalError("XX000", $"internal error: cannot render {plan.GetType().Name}: {e.Message}"));
        }
    }

    /// <summary>A collection with an error for its only content: whoever reads it learns what is wrong.</summary>
    public Bundle<TTime> Failed(Core.Collections.ValueArray<ColumnType> columns, EvalError error) =>
        Bundle<TTime>.OfStream(scope.Empty(RowLayout.For(columns).Shape), ErrorConstant(error), columns);

    private Bundle<TTime> Let(LirRelationExpr.Let let)
    {
        var id = new Id.Local(let.LocalId);
        var outer = _collections.GetValueOrDefault(id);
        _collections[id] = Plan(let.Value);
        var body = Plan(let.Body);
        if (outer is null)
            _collections.Remove(id);
        else
            _collections[id] = outer;
        return body;
    }

    private Bundle<TTime> MapFilterProject(LirRelationExpr.MapFilterProject node) => Apply(Plan(node.Input), node.Mfp, node.Columns, "map, filter, project");

    /// <summary>The bundle with <paramref name="mfp"/> applied, by way of whatever form of it there is.</summary>
    private Bundle<TTime> Apply(Bundle<TTime> input, Mfp mfp, Core.Collections.ValueArray<ColumnType> columns, string name)
    {
        if (mfp.IsIdentity && Layouts.AreEqual(input.Columns, columns))
            return input;
        if (!input.HasStream)
            return ApplyToArrangement(input, input.Arrangements[0], mfp, columns, name);
        var kernel = RowKernels.Mfp(mfp, RowSource.Whole(input.Columns), columns);
        return Bundle<TTime>.OfStream(input.Ok.Map(name, kernel.Kernel, kernel.Shape, kernel.IsTemporal), columns, input.Errors);
    }

    private Bundle<TTime> ApplyToArrangement(Bundle<TTime> input, ArrangedCollection<TTime> from, Mfp mfp, Core.Collections.ValueArray<ColumnType> columns, string name)
    {
        var kernel = RowKernels.Mfp(mfp, RowSource.Arranged(from.Shape), columns);
        if (!kernel.IsTemporal)
            return Bundle<TTime>.OfStream(from.Arranged.AsStream(name, kernel.Kernel, kernel.Shape), columns, input.Errors);
        var all = RowKernels.Mfp(mfp, RowSource.Whole(input.Columns), columns);
        var rows = input.Ok;
        return Bundle<TTime>.OfStream(rows.Map(name, all.Kernel, all.Shape, temporal: true), columns, input.Errors);
    }

    private Bundle<TTime> Negate(LirRelationExpr.Negate node)
    {
        var input = Plan(node.Input);
        var rows = input.OkAs(node.Columns);
        return Bundle<TTime>.OfStream(rows.Negate(), input.Errors, node.Columns);
    }

    private Bundle<TTime> Threshold(LirRelationExpr.Threshold node)
    {
        var input = Plan(node.Input);
        var rows = input.OkAs(node.Columns);
        return Bundle<TTime>.OfStream(rows.Threshold(), input.Errors, node.Columns);
    }

    private Bundle<TTime> Union(LirRelationExpr.Union node)
    {
        var inputs = node.Inputs.Select(Plan);
        if (inputs.IsEmpty)
            return Bundle<TTime>.OfStream(scope.Empty(RowLayout.For(node.Columns).Shape), scope.Empty(Bundle<TTime>.ErrorShape), node.Columns);
        var rows = inputs.Select(i => i.OkAs(node.Columns));
        var all = rows[0].Concat([.. rows.Skip(1)]);
        if (node.Consolidate)
            all = all.Consolidate();
        return Bundle<TTime>.OfStream(all, inputs[0].Errors.Concat([.. inputs.Skip(1).Select(i => i.Errors)]), node.Columns);
    }

    private Bundle<TTime> ArrangeBy(LirRelationExpr.ArrangeBy node)
    {
        var input = Plan(node.Input);
        foreach (var key in node.Keys)
            input.Arrange(key);
        return input;
    }
}

/// <summary>A plan asks for what is not built; the error is for users.</summary>
internal sealed class UnsupportedPlanException(EvalError error) : Exception(error.Message)
{
    public UnsupportedPlanException(string message) : this(new EvalError("0A000", message))
    {
    }

    public EvalError Error { get; } = error;
}
