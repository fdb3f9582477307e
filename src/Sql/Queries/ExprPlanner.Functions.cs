// Calls: operators, scalar functions, macros, aggregates, table functions, window functions.
using System.Collections.Concurrent;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

internal sealed partial class QueryPlanner
{
    private static readonly ConcurrentDictionary<string, Ast.Expr> Macros = new();

    private HirScalarExpr PlanOperator(ExprContext context, string op, IReadOnlyList<Coercible> args, int? position)
    {
        // Rows written out compare field by field, in the logic of three values; values that are records compare as wholes.
        if (args is [Coercible.Row left, Coercible.Row right] && op is "=" or "<>" or "<" or "<=" or ">" or ">=")
            return CompareRows(context, op, left, right, position);
        else if (args is [Coercible.Row row, { } other] && Coercion.KnownType(_statement, other) is { Kind: ScalarKind.Record } type)
            args = [Coercion.Coerce(_statement, "row", CastContext.Implicit, row, type, position), other];
        else if (args is [{ } first, Coercible.Row second] && Coercion.KnownType(_statement, first) is { Kind: ScalarKind.Record } leftType)
            args = [first, Coercion.Coerce(_statement, "row", CastContext.Implicit, second, leftType, position)];

        var overloads = FunctionTable.Operators(op).Where(o => o.Params.Count == args.Count).ToList();
        var selected = FunctionSelection.Select(_statement, overloads, args, isOperator: true, op, position);
        return CallSelected(context, selected, position, distinct: false, filter: null);
    }

    private HirScalarExpr CompareRows(ExprContext context, string op, Coercible.Row left, Coercible.Row right, int? position)
    {
        if (left.Fields.Count != right.Fields.Count)
            throw SqlException.Plan("unequal number of entries in row expressions", position);
        var pairs = left.Fields.Zip(right.Fields).ToList();
        HirScalarExpr Compare(string with, (Coercible Left, Coercible Right) pair) => PlanOperator(context, with, [pair.Left, pair.Right], position);
        if (pairs.Count == 0)
            return op is "=" or "<=" or ">=" ? HirScalarExpr.True : HirScalarExpr.False;
        if (op == "=")
            return Typing.And([.. pairs.Select(p => Compare(op, p))]);
        if (op == "<>")
            return pairs.Count == 1 ? Compare(op, pairs[0]) : Typing.Bool(ScalarFunctions.Or, [.. pairs.Select(p => Compare(op, p))]);

        // The first fields that are not equal decide; only the last may decide by being equal.
        var result = Compare(op, pairs[^1]);
        foreach (var pair in pairs.SkipLast(1).Reverse())
            result = Typing.Bool(ScalarFunctions.Or, Compare(op[..1], pair), Typing.Bool(ScalarFunctions.And, Compare("=", pair), result));
        return result;
    }

    /// <summary>The operands of an "=" of the two, with their types matched.</summary>
    private (HirScalarExpr Left, HirScalarExpr Right) PlanEqualOperands(ExprContext context, Coercible left, Coercible right, int? position)
    {
        if (left is Coercible.Row leftRow && right is Coercible.Row rightRow && leftRow.Fields.Count == rightRow.Fields.Count)
        {
            var fields = leftRow.Fields.Zip(rightRow.Fields, (l, r) => PlanEqualOperands(context, l, r, position)).ToList();
            return (Record([.. fields.Select(f => f.Left)]), Record([.. fields.Select(f => f.Right)]));
        }

        var equal = (HirScalarExpr.Call)PlanOperator(context, "=", [left, right], position);
        return (equal.Args[0], equal.Args[1]);
    }

    private static HirScalarExpr Record(IReadOnlyList<HirScalarExpr> fields) => Typing.Call(
        ScalarFunctions.RecordCreate,
        new SqlType(ScalarKind.Record) { Fields = fields.Select((f, i) => new RecordField($"f{i + 1}", f.Type)).ToValueArray() },
        [.. fields]);

    /// <summary>A call of a function by its bare name, of arguments planned already.</summary>
    private HirScalarExpr PlanCall(ExprContext context, string name, IReadOnlyList<Coercible> args, int? position)
    {
        var selected = FunctionSelection.Select(_statement, FunctionTable.Functions(name), args, isOperator: false, name, position);
        return CallSelected(context, selected, position, distinct: false, filter: null);
    }

    private HirScalarExpr CallSelected(ExprContext context, SelectedFunction selected, int? position, bool distinct, HirScalarExpr? filter)
    {
        switch (selected.Signature.Target)
        {
            case FunctionTarget.Scalar x:
                if (distinct || filter is not null)
                    throw SqlException.Plan($"{(distinct ? "DISTINCT" : "FILTER")} specified, but {selected.Signature.Name} is not an aggregate function", position);
                return Typing.Call(x.Func, selected.Result, selected.Args);
            case FunctionTarget.Unmaterializable x:
                return PlanUnmaterializable(x.Func, position);
            case FunctionTarget.Macro x:
                return PlanMacro(context, x.Sql, selected, distinct, filter, position);
            case FunctionTarget.Aggregate x:
                return PlanAggregate(context, x.Func, selected, distinct, filter, [], [], position);
            default:
                throw SqlException.Plan($"table functions are not allowed in {context.Clause} (function {selected.Signature.Name})", position);
        }
    }

    private HirScalarExpr PlanUnmaterializable(UnmaterializableFunc func, int? position)
    {
        if (func != UnmaterializableFunc.MzNow && _statement.Lifetime == QueryLifetime.MaterializedView)
            throw new SqlException(SqlState.FeatureNotSupported, $"cannot materialize call to {FunctionName(func)}") { Position = position };
        _statement.UsesUnmaterializable = true;
        return new HirScalarExpr.CallUnmaterializable(func, ScalarTyping.TypeOf(func));
    }

    private static string FunctionName(UnmaterializableFunc func)
    {
        var name = new System.Text.StringBuilder();
        foreach (var c in func.ToString())
        {
            if (char.IsUpper(c) && name.Length > 0)
                name.Append('_');
            name.Append(char.ToLowerInvariant(c));
        }

        return name.ToString();
    }

    private HirScalarExpr PlanMacro(ExprContext context, string sql, SelectedFunction selected, bool distinct, HirScalarExpr? filter, int? position)
    {
        if (distinct)
            sql = WithDistinctSquares(sql);
        var body = Macros.GetOrAdd(sql, static text => Parser.SqlParser.ParseExpr(text));
        var frame = new MacroFrame(selected.Args.ToValueArray(), Depth(context.Scope), distinct, filter);
        try
        {
            var planned = PlanExpr(context with { Macro = frame }, body);
            return Coercion.Coerce(_statement, selected.Signature.Name, CastContext.Explicit, planned, selected.Result, position);
        }
        catch (SqlException e) when (e.Position is not null)
        {
            // The place is one in the macro's own text, which the user has never seen.
            throw new SqlException(e.State, e.Message) { Detail = e.Detail, Hint = e.Hint, Position = position };
        }
    }

    /// <summary>SQL over one argument.</summary>
    private HirScalarExpr PlanText(ExprContext context, string sql, HirScalarExpr argument)
    {
        var body = Macros.GetOrAdd(sql, static text => Parser.SqlParser.ParseExpr(text));
        var planned = PlanExpr(context with { Macro = new MacroFrame([argument], Depth(context.Scope), Distinct: false, Filter: null) }, body);
        return Coercion.AsAny(_statement, planned);
    }

    /// <summary>
    /// DISTINCT is about the argument, and two of them may have one square: the sum of squares in a macro is taken of those that are not negative and of the others
    /// apart, in each of which no two have the same.
    /// </summary>
    private static string WithDistinctSquares(string sql)
    {
        foreach (var type in (string[])["numeric", "float8"])
        {
            var square = $"$1::{type} * $1::{type}";
            sql = sql.Replace(
                $"sum({square})", $"(coalesce(sum(CASE WHEN $1 >= 0 THEN {square} END), 0) + coalesce(sum(CASE WHEN $1 < 0 THEN {square} END), 0))", StringComparison.Ordinal);
        }

        return sql;
    }

    private HirScalarExpr PlanFunction(ExprContext context, Ast.Expr.Function call)
    {
        if (context.TableFunctions is not null && context.TableFunctions.TryGetValue(call, out var column))
            return new HirScalarExpr.Column(0, column, context.Scope.Items[column].Type);

        var position = call.Position();
        var name = call.Name.Item.Value;
        if (call.Over is not null)
            return PlanWindow(context, call, name);
        if (WindowFuncOf(name) is not null)
            throw SqlException.Plan($"window function {name} requires an OVER clause", position);

        var overloads = Overloads(call.Name);
        var isAggregate = IsAggregate(overloads);
        if (call.Args is Ast.FunctionArgs.Star && (!isAggregate || name != "count"))
            throw SqlException.Plan($"{name}(*) specified, but {name} is not the count aggregate", position);
        if (isAggregate && context.Macro is null && context.Over is null)
            CheckAggregateAllowed(context, name, position);

        // What an aggregate aggregates cannot itself hold aggregates.
        var argContext = isAggregate ? context with { InAggregate = true, Aggregates = null, AllowWindows = false } : context;
        var list = call.Args as Ast.FunctionArgs.List;
        List<Coercible> args = [];
        foreach (var arg in list?.Args ?? [])
            args.Add(PlanExpr(argContext, arg));
        var filter = call.Filter is null ? null : PlanAs(argContext with { Clause = "FILTER" }, call.Filter, SqlType.Bool, "FILTER");
        if (context.Macro is { } macro && isAggregate)
        {
            filter = macro.Filter?.Shift(Depth(context.Scope) - macro.Depth) ?? filter;
            if (macro.Distinct)
                call = call with { Distinct = true };
        }

        if (name == "current_setting" && args.Count >= 1)
            return PlanCurrentSetting(args, position);
        if (name == "pg_typeof" && args is [var asked] && Coercion.KnownType(_statement, asked) is null && TypeOfUntyped(asked) is { } untyped)
            return Typing.Literal(untyped);

        var selected = FunctionSelection.Select(_statement, overloads, args, isOperator: false, name, position);
        if (selected.Signature.Target is FunctionTarget.Aggregate aggregate)
        {
            List<HirScalarExpr> orderKeys = [];
            List<ColumnOrder> orders = [];
            foreach (var order in list?.OrderBy ?? [])
            {
                orders.Add(OrderOf(order, orderKeys.Count));
                orderKeys.Add(PlanScalar(argContext, order.Expr));
            }

            return PlanAggregate(context, aggregate.Func, selected, call.Distinct, filter, orders.ToValueArray(), orderKeys.ToValueArray(), position);
        }

        if (!isAggregate && list?.OrderBy.Count > 0)
            throw SqlException.Plan($"ORDER BY specified, but {name} is not an aggregate function", position);
        return CallSelected(context, selected, position, call.Distinct, filter);
    }

    /// <summary>The overloads a name means: those of the schema it gives, or those on everybody's search path.</summary>
    private static List<FunctionSignature> Overloads(Ast.ObjectName name)
    {
        var partial = StatementContext.Partial(name);
        var all = FunctionTable.Functions(partial.Item);
        var found = partial.Schema is { } schema
            ? all.Where(f => f.Schema == schema).ToList()
            : all.Where(f => f.Schema is "pg_catalog" or "mz_catalog").ToList();

        // Internal ones are reached by macros without their schema.
        if (found.Count == 0 && partial.Schema is null)
            found = all.ToList();
        if (found.Count == 0)
            throw new SqlException(SqlState.InternalError, $"function \"{name}\" does not exist") { Position = name.Position() };
        return found;
    }

    private static bool IsAggregate(List<FunctionSignature> overloads) => overloads.Any(o => o.Target switch
    {
        FunctionTarget.Aggregate => true,
        FunctionTarget.Macro => AggregateMacros.Contains(o.Name),
        _ => false,
    });

    /// <summary>Macros that stand for aggregates.</summary>
    private static readonly HashSet<string> AggregateMacros =
    [
        "avg", "bool_and", "bool_or", "var_pop", "var_samp", "variance", "stddev", "stddev_pop", "stddev_samp", "jsonb_agg", "jsonb_object_agg",
    ];

    private static void CheckAggregateAllowed(ExprContext context, string name, int? position)
    {
        if (context.InAggregate)
            throw SqlException.Plan("nested aggregate functions are not allowed", position);
        if (context.Aggregates is null)
            throw SqlException.Plan($"aggregate functions are not allowed in {context.Clause} (function pg_catalog.{name})", position);
    }

    private HirScalarExpr PlanAggregate(
        ExprContext context, AggregateFunc func, SelectedFunction selected, bool distinct, HirScalarExpr? filter,
        ValueArray<ColumnOrder> orders, ValueArray<HirScalarExpr> orderKeys, int? position)
    {
        if (context.Over is null)
            CheckAggregateAllowed(context, selected.Signature.Name, position);
        var args = selected.Args;
        if (args.Length == 0)
            args = [HirScalarExpr.True];
        if (context.Over is null && args.Length > 0)
        {
            var (own, outside) = (false, false);
            foreach (var arg in args)
            {
                arg.Visit(0, (c, nesting) =>
                {
                    own |= c.Level == nesting;
                    outside |= c.Level > nesting;
                });
            }

            if (outside && !own)
                throw SqlException.Unsupported("aggregate functions that refer exclusively to outer columns", position);
        }

        var collects = func is AggregateFunc.ArrayAgg or AggregateFunc.ListAgg or AggregateFunc.JsonbAgg or AggregateFunc.JsonbObjectAgg or AggregateFunc.MapAgg;
        if (filter is not null)
        {
            // Nulls are not aggregated, so what the filter drops becomes null; the collecting ones have to be told otherwise.
            if (func is AggregateFunc.ArrayAgg or AggregateFunc.ListAgg or AggregateFunc.JsonbAgg)
                args = [.. args, Typing.Bool(ScalarFunctions.IsTrue, filter)];
            else
                args[0] = new HirScalarExpr.If(filter, args[0], HirScalarExpr.Null(args[0].Type.Type));
        }

        if (!collects && func != AggregateFunc.StringAgg)
        {
            orders = [];
            orderKeys = [];
        }

        // DISTINCT changes nothing for these.
        if (func is AggregateFunc.Min or AggregateFunc.Max or AggregateFunc.Any or AggregateFunc.All)
            distinct = false;
        var output = new ColumnType(selected.Result, func != AggregateFunc.Count);
        if (context.Over is { } over)
            return new HirScalarExpr.Windowed(over with { Aggregate = func, Args = args.ToValueArray(), Output = output });
        return context.Aggregates!.Add(new HirAggregate(func, args.ToValueArray(), distinct, output, orders, orderKeys));
    }

    /// <summary>What <c>pg_typeof</c> says of what nothing gives a type: it does not, as other functions of anything do, make text of it.</summary>
    private static string? TypeOfUntyped(Coercible expr) => expr switch
    {
        Coercible.StringLiteral or Coercible.NullLiteral => "unknown",
        Coercible.Parameter x => throw new SqlException(SqlState.UndefinedParameter, $"could not determine data type of parameter ${x.Number}"),
        _ => null,
    };

    private HirScalarExpr PlanCurrentSetting(List<Coercible> args, int? position)
    {
        if (args[0] is not Coercible.StringLiteral name)
            throw SqlException.Unsupported("current_setting of an expression", position);
        if (_statement.Lifetime == QueryLifetime.MaterializedView)
            throw new SqlException(SqlState.FeatureNotSupported, "cannot materialize call to current_setting") { Position = position };
        _statement.UsesUnmaterializable = true;
        var missingOk = args.Count > 1 && Coercion.Coerce(_statement, "current_setting", CastContext.Implicit, args[1], SqlType.Bool) is HirScalarExpr.Literal { Value: { IsNull: false, AsBool: true } };
        if (_statement.Catalog.GetVariable(name.Value.ToLowerInvariant()) is { } value)
            return Typing.Literal(value);
        return missingOk
            ? HirScalarExpr.Null(SqlType.String)
            : throw new SqlException(SqlState.UndefinedObject, $"unrecognized configuration parameter \"{name.Value}\"") { Position = position };
    }

    private static ColumnOrder OrderOf(Ast.OrderByExpr order, int column)
    {
        var descending = order.Ascending == false;
        return new ColumnOrder(column, descending, order.NullsLast ?? !descending);
    }

    // ---- Windows -----------------------------------------------------------------------------------------------------

    private static WindowFunc? WindowFuncOf(string name) => name switch
    {
        "row_number" => WindowFunc.RowNumber,
        "rank" => WindowFunc.Rank,
        "dense_rank" => WindowFunc.DenseRank,
        "lag" => WindowFunc.Lag,
        "lead" => WindowFunc.Lead,
        "first_value" => WindowFunc.FirstValue,
        "last_value" => WindowFunc.LastValue,
        _ => null,
    };

    private HirScalarExpr PlanWindow(ExprContext context, Ast.Expr.Function call, string name)
    {
        var position = call.Position();
        if (!context.AllowWindows)
            throw SqlException.Plan($"window functions are not allowed in {context.Clause} (function {name})", position);
        var inner = context with { AllowWindows = false };
        var partition = call.Over!.PartitionBy.Select(e => PlanScalar(inner, e)).ToValueArray();
        List<HirScalarExpr> keys = [];
        List<ColumnOrder> orders = [];
        foreach (var order in call.Over.OrderBy)
        {
            orders.Add(OrderOf(order, keys.Count));
            keys.Add(PlanScalar(inner, order.Expr));
        }

        var args = ((call.Args as Ast.FunctionArgs.List)?.Args ?? []).Select(a => PlanExpr(inner, a)).ToList();
        var frame = FrameOf(call.Over.Frame);
        if (call.Distinct)
            throw SqlException.Unsupported("DISTINCT in window aggregates", position);
        if (call.Over.IgnoreNulls)
            throw SqlException.Unsupported("IGNORE NULLS", position);
        var window = new WindowExpr(
            WindowFunc.Aggregate, [], false, null, partition, keys.ToValueArray(), orders.ToValueArray(), frame, SqlType.Int64.Nullable(false));
        if (WindowFuncOf(name) is not { } func)
        {
            var overloads = Overloads(call.Name);
            if (!IsAggregate(overloads))
                throw SqlException.Plan($"OVER specified, but {name} is not a window function nor an aggregate function", position);
            var filter = call.Filter is null ? null : PlanAs(inner, call.Filter, SqlType.Bool, "FILTER");
            var selected = FunctionSelection.Select(_statement, overloads, args, isOperator: false, name, position);
            return CallSelected(inner with { Over = window }, selected, position, distinct: false, filter);
        }

        if (call.Filter is not null)
            throw SqlException.Unsupported("FILTER in non-aggregate window functions", position);
        return new HirScalarExpr.Windowed(WithArgs(window with { Func = func }, name, args, position));
    }

    /// <summary>Checks and casts the arguments of a window function that is no aggregate.</summary>
    private WindowExpr WithArgs(WindowExpr window, string name, List<Coercible> args, int? position)
    {
        var (least, most) = window.Func switch
        {
            WindowFunc.Lag or WindowFunc.Lead => (1, 3),
            WindowFunc.FirstValue or WindowFunc.LastValue => (1, 1),
            _ => (0, 0),
        };
        if (args.Count < least || args.Count > most)
            throw new SqlException(SqlState.InternalError, $"function {name}({string.Join(", ", args.Select(a => Coercion.TypeName(_statement, a)))}) does not exist") { Position = position };
        if (args.Count == 0)
            return window;
        List<HirScalarExpr> planned = [];
        if (args.Count == 3)
        {
            var unified = Coercion.Unify(_statement, name, [args[0], args[2]], position: position);
            planned = [unified[0], Coercion.Coerce(_statement, name, CastContext.Implicit, args[1], SqlType.Int32, position), unified[1]];
        }
        else
        {
            planned.Add(Coercion.AsAny(_statement, args[0]));
            if (args.Count == 2)
                planned.Add(Coercion.Coerce(_statement, name, CastContext.Implicit, args[1], SqlType.Int32, position));
        }

        return window with { Args = planned.ToValueArray(), Output = planned[0].Type.Type.Nullable() };
    }

    private static WindowFrame FrameOf(Ast.WindowFrame? frame)
    {
        if (frame is null)
            return WindowFrame.Default;
        if (frame.Units == Ast.WindowFrameUnits.Groups)
            throw SqlException.Unsupported("GROUPS in window frames", frame.Position());
        var start = BoundOf(frame.Start);
        var end = frame.End is null ? new FrameBound(0) : BoundOf(frame.End);
        if (frame.Start is Ast.WindowFrameBound.Following { Rows: null })
            throw SqlException.Plan("frame start cannot be UNBOUNDED FOLLOWING", frame.Position());
        if (frame.End is Ast.WindowFrameBound.Preceding { Rows: null })
            throw SqlException.Plan("frame end cannot be UNBOUNDED PRECEDING", frame.Position());
        // Postgres' rule is by the kinds of the ends; a frame such as 1 PRECEDING to 2 PRECEDING is allowed and empty.
        switch (frame.Start, frame.End)
        {
            case (Ast.WindowFrameBound.CurrentRow, Ast.WindowFrameBound.Preceding):
                throw SqlException.Plan("frame starting from current row cannot have preceding rows", frame.Position());
            case (Ast.WindowFrameBound.Following, Ast.WindowFrameBound.Preceding or Ast.WindowFrameBound.CurrentRow or null):
                throw SqlException.Plan("frame starting from following row cannot have preceding rows", frame.Position());
        }

        if (frame.Units == Ast.WindowFrameUnits.Range)
        {
            // The two that need no arithmetic on values: the whole partition, and all up to the current row's peers.
            if (start.Offset is null && end.Offset is null)
                return new WindowFrame(true, start, end);
            if (start.Offset is null && end.Offset == 0)
                return WindowFrame.Default;
            throw SqlException.Unsupported("RANGE in non-default window frames", frame.Position());
        }

        return new WindowFrame(true, start, end);
    }

    private static FrameBound BoundOf(Ast.WindowFrameBound bound)
    {
        const ulong most = 1_000_000;
        switch (bound)
        {
            case Ast.WindowFrameBound.Preceding { Rows: { } rows } when rows <= most:
                return new FrameBound(-(long)rows);
            case Ast.WindowFrameBound.Following { Rows: { } rows } when rows <= most:
                return new FrameBound((long)rows);
            case Ast.WindowFrameBound.CurrentRow:
                return new FrameBound(0);
            case Ast.WindowFrameBound.Preceding { Rows: null } or Ast.WindowFrameBound.Following { Rows: null }:
                return new FrameBound(null);
            default:
                throw SqlException.Unsupported($"window frame offsets greater than {most}", bound.Position());
        }
    }
}
