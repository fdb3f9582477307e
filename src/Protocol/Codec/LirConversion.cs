using System.Diagnostics;
using System.Runtime.CompilerServices;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;
using static Materialize.Protocol.Codec.CommonConversion;

namespace Materialize.Protocol.Codec;

/// <summary>Physical plans.</summary>
internal static class LirConversion
{
    public static Wire.LirRelation ToWire(LirRelationExpr plan)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var wire = new Wire.LirRelation();
        wire.Columns.AddAll(plan.Columns, CommonConversion.ToWire);
        switch (plan)
        {
            case LirRelationExpr.Constant x:
                wire.Constant = new Wire.LirConstant();
                wire.Constant.Rows.AddAll(x.Rows, r => new Wire.ConstantRow { Row = CommonConversion.ToWire(r.Values), Diff = r.Diff });
                if (x.Error is { } error)
                    wire.Constant.Error = CommonConversion.ToWire(error);
                break;
            case LirRelationExpr.Get x:
                wire.Get = new Wire.LirGet { Id = ToWire(x.Id), Mfp = ExprConversion.ToWire(x.Mfp) };
                if (x.Key is { } key)
                    wire.Get.Key = ToWire(key);
                if (x.Literals is { } literals)
                    wire.Get.Literals = ToWire(literals);
                break;
            case LirRelationExpr.Let x:
                wire.Let = new Wire.LirLet { LocalId = x.LocalId, Value = ToWire(x.Value), Body = ToWire(x.Body) };
                break;
            case LirRelationExpr.LetRec x:
                wire.LetRec = new Wire.LirLetRec { Body = ToWire(x.Body) };
                wire.LetRec.Bindings.AddAll(x.Bindings, ToWire);
                break;
            case LirRelationExpr.MapFilterProject x:
                wire.Mfp = new Wire.LirMfp { Input = ToWire(x.Input), Mfp = ExprConversion.ToWire(x.Mfp) };
                break;
            case LirRelationExpr.FlatMap x:
                wire.FlatMap = new Wire.LirFlatMap { Input = ToWire(x.Input), Func = x.Func.ToString(), MfpAfter = ExprConversion.ToWire(x.MfpAfter) };
                if (x.Inner is { } inner)
                    wire.FlatMap.Inner = inner.ToString();
                wire.FlatMap.Args.AddAll(x.Args, ExprConversion.ToWire);
                wire.FlatMap.FuncColumns.AddAll(x.FuncColumns, CommonConversion.ToWire);
                break;
            case LirRelationExpr.Join x:
                wire.Join = ToWire(x);
                break;
            case LirRelationExpr.Reduce x:
                wire.Reduce = new Wire.LirReduce { Input = ToWire(x.Input), MfpAfter = ExprConversion.ToWire(x.MfpAfter) };
                wire.Reduce.GroupKey.AddAll(x.GroupKey, ExprConversion.ToWire);
                wire.Reduce.Aggregates.AddAll(x.Aggregates, a => new Wire.LirAggregate { Expr = ExprConversion.ToWire(a.Expr), Kind = (uint)a.Kind });
                break;
            case LirRelationExpr.TopK x:
                wire.TopK = new Wire.LirTopK { Input = ToWire(x.Input), Offset = x.Offset };
                wire.TopK.GroupKey.AddAll(x.GroupKey);
                wire.TopK.OrderKey.AddAll(x.OrderKey, ExprConversion.ToWire);
                if (x.Limit is { } limit)
                    wire.TopK.Limit = ExprConversion.ToWire(limit);
                break;
            case LirRelationExpr.Window x:
                wire.Window = WindowConversion.ToWire(x, ToWire(x.Input));
                break;
            case LirRelationExpr.Negate x:
                wire.Negate = ToWire(x.Input);
                break;
            case LirRelationExpr.Threshold x:
                wire.Threshold = ToWire(x.Input);
                break;
            case LirRelationExpr.Union x:
                wire.Union = new Wire.LirUnion { Consolidate = x.Consolidate };
                wire.Union.Inputs.AddAll(x.Inputs, ToWire);
                break;
            case LirRelationExpr.ArrangeBy x:
                wire.ArrangeBy = new Wire.LirArrangeBy { Input = ToWire(x.Input) };
                wire.ArrangeBy.Keys.AddAll(x.Keys, ToWire);
                break;
            default:
                throw new UnreachableException(plan.GetType().Name);
        }

        return wire;
    }

    private static Wire.LirRecursiveBinding ToWire(LirRecursiveBinding binding)
    {
        var wire = new Wire.LirRecursiveBinding { LocalId = binding.LocalId, Value = ToWire(binding.Value) };
        if (binding.Limit is { } limit)
            (wire.RoundsMax, wire.ReturnsAtLimit) = (limit.RoundsMax, limit.ReturnsAtLimit);
        return wire;
    }

    private static LirRecursiveBinding FromWire(Wire.LirRecursiveBinding wire) =>
        new(wire.LocalId, FromWire(wire.Value), wire.HasRoundsMax ? new RecursionLimit(wire.RoundsMax, wire.ReturnsAtLimit) : null);

    public static LirRelationExpr FromWire(Wire.LirRelation? plan)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        var columns = Required(plan).Columns.ToArray(CommonConversion.FromWire);
        switch (plan!.NodeCase)
        {
            case Wire.LirRelation.NodeOneofCase.Constant:
                var constant = plan.Constant;
                return new LirRelationExpr.Constant(
                    constant.Rows.ToArray(r => new ConstantRow(CommonConversion.FromWire(r.Row), r.Diff)),
                    constant.Error is null ? null : CommonConversion.FromWire(constant.Error),
                    columns);
            case Wire.LirRelation.NodeOneofCase.Get:
                var get = plan.Get;
                return new LirRelationExpr.Get(
                    FromWire(get.Id),
                    get.Key is null ? null : FromWire(get.Key),
                    get.Literals is null ? null : FromWire(get.Literals),
                    ExprConversion.FromWire(get.Mfp),
                    columns);
            case Wire.LirRelation.NodeOneofCase.Let:
                return new LirRelationExpr.Let(plan.Let.LocalId, FromWire(plan.Let.Value), FromWire(plan.Let.Body), columns);
            case Wire.LirRelation.NodeOneofCase.LetRec:
                return new LirRelationExpr.LetRec(plan.LetRec.Bindings.ToArray(FromWire), FromWire(plan.LetRec.Body), columns);
            case Wire.LirRelation.NodeOneofCase.Mfp:
                return new LirRelationExpr.MapFilterProject(FromWire(plan.Mfp.Input), ExprConversion.FromWire(plan.Mfp.Mfp), columns);
            case Wire.LirRelation.NodeOneofCase.FlatMap:
                var flatMap = plan.FlatMap;
                return new LirRelationExpr.FlatMap(
                    FromWire(flatMap.Input),
                    ParseEnum<TableFunc>(flatMap.Func, "table function"),
                    flatMap.HasInner ? ParseEnum<TableFunc>(flatMap.Inner, "table function") : null,
                    flatMap.Args.ToArray(ExprConversion.FromWire),
                    flatMap.FuncColumns.ToArray(CommonConversion.FromWire),
                    ExprConversion.FromWire(flatMap.MfpAfter),
                    columns);
            case Wire.LirRelation.NodeOneofCase.Join:
                return new LirRelationExpr.Join(plan.Join.Inputs.ToArray(FromWire), JoinPlanFromWire(plan.Join), columns);
            case Wire.LirRelation.NodeOneofCase.Reduce:
                var reduce = plan.Reduce;
                return new LirRelationExpr.Reduce(
                    FromWire(reduce.Input),
                    reduce.GroupKey.ToArray(ExprConversion.FromWire),
                    reduce.Aggregates.ToArray(AggregateFromWire),
                    ExprConversion.FromWire(reduce.MfpAfter),
                    columns);
            case Wire.LirRelation.NodeOneofCase.TopK:
                var topK = plan.TopK;
                return new LirRelationExpr.TopK(
                    FromWire(topK.Input),
                    topK.GroupKey.ToArray(),
                    topK.OrderKey.ToArray(ExprConversion.FromWire),
                    topK.Limit is null ? null : ExprConversion.FromWire(topK.Limit),
                    topK.Offset,
                    columns);
            case Wire.LirRelation.NodeOneofCase.Window:
                return WindowConversion.FromWire(plan.Window, FromWire(plan.Window.Input), columns);
            case Wire.LirRelation.NodeOneofCase.Negate:
                return new LirRelationExpr.Negate(FromWire(plan.Negate), columns);
            case Wire.LirRelation.NodeOneofCase.Threshold:
                return new LirRelationExpr.Threshold(FromWire(plan.Threshold), columns);
            case Wire.LirRelation.NodeOneofCase.Union:
                return new LirRelationExpr.Union(plan.Union.Inputs.ToArray(FromWire), plan.Union.Consolidate, columns);
            case Wire.LirRelation.NodeOneofCase.ArrangeBy:
                return new LirRelationExpr.ArrangeBy(FromWire(plan.ArrangeBy.Input), plan.ArrangeBy.Keys.ToArray(FromWire), columns);
            default:
                throw Unknown("plan node", plan.NodeCase);
        }
    }

    public static Wire.ArrangementKey ToWire(ArrangementKey key)
    {
        var wire = new Wire.ArrangementKey();
        wire.Exprs.AddAll(key.Exprs, ExprConversion.ToWire);
        return wire;
    }

    public static ArrangementKey FromWire(Wire.ArrangementKey? key) => new(Required(key).Exprs.ToArray(ExprConversion.FromWire));

    public static Wire.Rows ToWire(ValueArray<ValueArray<Datum>> rows)
    {
        var wire = new Wire.Rows();
        wire.Rows_.AddAll(rows, CommonConversion.ToWire);
        return wire;
    }

    public static ValueArray<ValueArray<Datum>> FromWire(Wire.Rows rows) => rows.Rows_.ToArray(CommonConversion.FromWire);

    private static Wire.PlanId ToWire(Id id) => id switch
    {
        Id.Local x => new Wire.PlanId { Local = x.Number },
        Id.Global x => new Wire.PlanId { Global = CommonConversion.ToWire(x.GlobalId) },
        _ => throw new UnreachableException(id.GetType().Name),
    };

    private static Id FromWire(Wire.PlanId? id) => Required(id).IdCase switch
    {
        Wire.PlanId.IdOneofCase.Local => new Id.Local(id!.Local),
        Wire.PlanId.IdOneofCase.Global => new Id.Global(CommonConversion.FromWire(id!.Global)),
        _ => throw Unknown("id", id!.IdCase),
    };

    private static Wire.LirJoin ToWire(LirRelationExpr.Join join)
    {
        var wire = new Wire.LirJoin();
        wire.Inputs.AddAll(join.Inputs, ToWire);
        switch (join.Plan)
        {
            case LirJoinPlan.Linear x:
                wire.Linear = Path(x.Source, x.SourceKey, x.Initial, x.Stages);
                break;
            case LirJoinPlan.Delta x:
                wire.Delta = new Wire.LirDelta();
                wire.Delta.Paths.AddAll(x.Paths, p => Path(p.Source, p.SourceKey, p.Initial, p.Stages));
                break;
            default:
                throw new UnreachableException(join.Plan.GetType().Name);
        }

        return wire;
    }

    private static LirJoinPlan JoinPlanFromWire(Wire.LirJoin join) => join.PlanCase switch
    {
        Wire.LirJoin.PlanOneofCase.Linear => new LirJoinPlan.Linear(
            Index(join.Linear.Source),
            join.Linear.SourceKey is null ? null : FromWire(join.Linear.SourceKey),
            ExprConversion.FromWire(join.Linear.Initial),
            join.Linear.Stages.ToArray(FromWire)),
        Wire.LirJoin.PlanOneofCase.Delta => new LirJoinPlan.Delta(join.Delta.Paths.ToArray(p =>
            new LirDeltaPath(Index(p.Source), FromWire(p.SourceKey), ExprConversion.FromWire(p.Initial), p.Stages.ToArray(FromWire)))),
        _ => throw Unknown("join plan", join.PlanCase),
    };

    private static Wire.LirJoinPath Path(int source, ArrangementKey? key, Mfp initial, ValueArray<LirJoinStage> stages)
    {
        var path = new Wire.LirJoinPath { Source = checked((uint)source), Initial = ExprConversion.ToWire(initial) };
        if (key is not null)
            path.SourceKey = ToWire(key);
        path.Stages.AddAll(stages, ToWire);
        return path;
    }

    private static Wire.LirJoinStage ToWire(LirJoinStage stage)
    {
        var wire = new Wire.LirJoinStage
        {
            Input = checked((uint)stage.Input),
            LookupKey = ToWire(stage.LookupKey),
            Closure = ExprConversion.ToWire(stage.Closure),
        };
        wire.StreamKey.AddAll(stage.StreamKey, ExprConversion.ToWire);
        wire.StreamColumns.AddAll(stage.StreamColumns, CommonConversion.ToWire);
        wire.Output.AddAll(stage.Output, CommonConversion.ToWire);
        return wire;
    }

    private static LirJoinStage FromWire(Wire.LirJoinStage stage) => new(
        Index(stage.Input),
        stage.StreamKey.ToArray(ExprConversion.FromWire),
        FromWire(stage.LookupKey),
        stage.StreamColumns.ToArray(CommonConversion.FromWire),
        ExprConversion.FromWire(stage.Closure),
        stage.Output.ToArray(CommonConversion.FromWire));

    private static LirAggregate AggregateFromWire(Wire.LirAggregate aggregate)
    {
        var kind = (ReduceKind)aggregate.Kind;
        if (aggregate.Kind > byte.MaxValue || !Enum.IsDefined(kind))
            throw Unknown("reduce kind", aggregate.Kind);
        return new LirAggregate(ExprConversion.FromWire(aggregate.Expr), kind);
    }
}
