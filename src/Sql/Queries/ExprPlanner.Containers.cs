// Arrays, lists, maps: constructors, subscripts, and ANY/ALL over them.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

internal sealed partial class QueryPlanner
{
    private HirScalarExpr PlanArray(ExprContext context, Ast.Expr.Array x, SqlType? target)
    {
        if (x.Elements.Count == 0)
        {
            if (target is null)
                throw SqlException.Plan("cannot determine type of empty array", x.Position(), "Explicitly cast to the desired type, for example ARRAY[]::integer[].");
            return Typing.Call(ScalarFunctions.ArrayCreate, target);
        }

        // An inner array is one more dimension of the same array type.
        var inner = x.Elements.Select(e => e is Ast.Expr.Array a ? PlanArray(context, a, target) : PlanExpr(context, e)).ToList();
        var nested = inner.Any(e => Coercion.KnownType(_statement, e)?.Kind == ScalarKind.Array);
        var unified = Coercion.Unify(_statement, "ARRAY", inner, nested ? target : target?.Element, x.Position());
        var type = unified[0].Type.Type;
        if (type.Kind is ScalarKind.List or ScalarKind.Map or ScalarKind.Char)
            throw SqlException.Unsupported($"{type.ToSql()}[]", x.Position());
        return Typing.Call(ScalarFunctions.ArrayCreate, nested ? type : SqlType.ArrayOf(type), unified);
    }

    private HirScalarExpr PlanList(ExprContext context, Ast.Expr.List x, SqlType? target)
    {
        if (x.Elements.Count == 0)
        {
            if (target is null)
                throw SqlException.Plan("cannot determine type of empty list", x.Position(), "Explicitly cast to the desired type, for example LIST[]::int list.");
            return Typing.Call(ScalarFunctions.ListCreate, target);
        }

        var element = target?.Element;
        var inner = x.Elements.Select(e => e switch
        {
            Ast.Expr.List list => PlanList(context, list, element?.Kind == ScalarKind.List ? element : null),
            _ => PlanExpr(context, e),
        }).ToList();
        var unified = Coercion.Unify(_statement, "LIST", inner, element, x.Position());
        if (unified[0].Type.Type.Kind == ScalarKind.Char)
            throw SqlException.Unsupported("char list", x.Position());
        return Typing.Call(ScalarFunctions.ListCreate, target ?? SqlType.ListOf(unified[0].Type.Type), unified);
    }

    private HirScalarExpr PlanMap(ExprContext context, Ast.Expr.Map x, SqlType? target)
    {
        if (x.Entries.Count == 0)
        {
            if (target is null)
                throw SqlException.Plan("cannot determine type of empty map", x.Position(), "Explicitly cast to the desired type, for example MAP[]::map[text=>int].");
            return Typing.Call(ScalarFunctions.MapCreate, target);
        }

        var value = target?.Element;
        var keys = x.Entries.Select(e => PlanAs(context, e.Key, SqlType.String, "map key")).ToList();
        var values = Coercion.Unify(
            _statement, "MAP", x.Entries.Select(e => e.Value is Ast.Expr.Map map ? PlanMap(context, map, value?.Kind == ScalarKind.Map ? value : null) : PlanExpr(context, e.Value)).ToList(),
            value, x.Position());
        var args = keys.Zip(values).SelectMany(p => new[] { p.First, p.Second }).ToArray();
        return Typing.Call(ScalarFunctions.MapCreate, target ?? SqlType.MapOf(values[0].Type.Type), args);
    }

    private HirScalarExpr PlanSubscript(ExprContext context, Ast.Expr.Subscript x)
    {
        var input = PlanScalar(context, x.Input);
        var type = input.Type.Type;
        switch (type.Kind)
        {
            case ScalarKind.Array or ScalarKind.Int2Vector:
                if (x.Positions.Any(p => p.IsSlice))
                    throw SqlException.Unsupported("array slices", x.Position());
                return Typing.Call(ScalarFunctions.ArrayIndex, type.Element ?? SqlType.Int16, [input, .. x.Positions.Select(p => Subscript(context, p.Start!))]);
            case ScalarKind.List:
                return PlanListSubscript(context, x, input);
            case ScalarKind.Jsonb:
                foreach (var position in x.Positions)
                {
                    if (position.IsSlice)
                        throw SqlException.Plan("jsonb subscript does not support slices", x.Position());
                    input = PlanOperator(context, "->", [input, PlanExpr(context, position.Start!)], x.Position());
                }

                return input;
            case ScalarKind.Map:
                foreach (var position in x.Positions)
                {
                    if (position.IsSlice)
                        throw SqlException.Plan($"cannot subscript type {input.Type.Type.ToSql()}", x.Position());
                    input = PlanOperator(context, "->", [input, PlanExpr(context, position.Start!)], x.Position());
                }

                return input;
            default:
                throw SqlException.Plan($"cannot subscript type {type.ToSql()}", x.Position());
        }
    }

    private HirScalarExpr Subscript(ExprContext context, Ast.Expr expr) =>
        Coercion.Coerce(_statement, "subscript", CastContext.Assignment, PlanExpr(context, expr), SqlType.Int64, expr.Position());

    private HirScalarExpr PlanListSubscript(ExprContext context, Ast.Expr.Subscript x, HirScalarExpr input)
    {
        var at = 0;
        while (at < x.Positions.Count)
        {
            var isSlice = x.Positions[at].IsSlice;
            List<HirScalarExpr> args = [];
            var element = input.Type.Type;
            while (at < x.Positions.Count && x.Positions[at].IsSlice == isSlice)
            {
                if (element!.Kind != ScalarKind.List)
                    throw SqlException.Plan($"cannot subscript type {element.ToSql()}", x.Position());
                var position = x.Positions[at++];
                if (isSlice)
                {
                    args.Add(position.Start is null ? Typing.Literal(1L) : Subscript(context, position.Start));
                    args.Add(position.End is null ? Typing.Literal(long.MaxValue) : Subscript(context, position.End));
                }
                else
                {
                    args.Add(Subscript(context, position.Start!));
                }

                element = element.Element!;
            }

            input = isSlice
                ? Typing.Call(ScalarFunctions.ListSlice, input.Type.Type, [input, .. args])
                : Typing.Call(ScalarFunctions.ListIndex, element!, [input, .. args]);
        }

        return input;
    }

    /// <summary><c>x op ANY (array or list)</c>.</summary>
    private HirScalarExpr PlanQuantified(ExprContext context, Ast.Expr.Quantified x)
    {
        var left = PlanExpr(context, x.Left);
        var right = PlanExpr(context, x.Right);
        if (Coercion.KnownType(_statement, right) is null)
        {
            // An untyped container: an array of the left side's type.
            var element = Coercion.KnownType(_statement, left) ?? SqlType.String;
            right = Coercion.Coerce(_statement, "ANY/ALL", CastContext.Implicit, right, SqlType.ArrayOf(element with { Modifier = null }), x.Position());
        }

        var container = Coercion.AsAny(_statement, right);
        var type = container.Type.Type;
        if (type.Kind == ScalarKind.Int2Vector)
        {
            container = Coercion.Cast(_statement, "ANY/ALL", CastContext.Implicit, container, SqlType.ArrayOf(SqlType.Int16));
            type = container.Type.Type;
        }

        if (type.Kind is not (ScalarKind.Array or ScalarKind.List))
            throw SqlException.Plan($"invalid argument to {(x.Quantifier == Ast.Quantifier.Any ? "ANY" : "ALL")}: expected array or list, found {type.ToSql()}", x.Position());

        // The operator is found for one element; then both sides are cast to what it compares.
        var probe = (HirScalarExpr.Call)PlanOperator(context, x.Op.Name, [left, HirScalarExpr.Null(type.Element!)], x.Position());
        var elementType = probe.Args[1].Type.Type;
        var wanted = type.Kind == ScalarKind.Array ? SqlType.ArrayOf(elementType) : SqlType.ListOf(elementType);
        if (!type.BaseEquals(wanted))
            container = Coercion.Cast(_statement, "ANY/ALL", CastContext.Explicit, container, wanted, x.Position());
        var func = x.Quantifier == Ast.Quantifier.Any ? ScalarFunctions.AnyOf : ScalarFunctions.AllOf;
        return Typing.Bool(func, Typing.Literal(probe.Func.Id), probe.Args[0], container);
    }
}
