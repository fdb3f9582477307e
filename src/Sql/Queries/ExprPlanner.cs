// Scalar expressions: one switch over the syntax. Functions and subqueries have files of their own.
using System.Globalization;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

internal sealed partial class QueryPlanner
{
    /// <summary>The expression with a type, text if nothing decides it.</summary>
    private HirScalarExpr PlanScalar(ExprContext context, Ast.Expr expr) => Coercion.AsAny(_statement, PlanExpr(context, expr));

    /// <summary>The expression as that type, by implicit casts.</summary>
    private HirScalarExpr PlanAs(ExprContext context, Ast.Expr expr, SqlType type, string? what = null) =>
        Coercion.Coerce(_statement, what ?? context.Clause, CastContext.Implicit, PlanExpr(context, expr), type, expr.Position());

    private HirScalarExpr PlanPredicate(ExprContext context, Ast.Expr expr) => PlanAs(context, expr, SqlType.Bool);

    private Coercible PlanExpr(ExprContext context, Ast.Expr expr)
    {
        System.Runtime.CompilerServices.RuntimeHelpers.EnsureSufficientExecutionStack();
        switch (expr)
        {
            case Ast.Expr.NullLiteral:
                return new Coercible.NullLiteral();
            case Ast.Expr.StringLiteral x:
                return new Coercible.StringLiteral(x.Value);
            case Ast.Expr.BooleanLiteral x:
                return x.Value ? HirScalarExpr.True : HirScalarExpr.False;
            case Ast.Expr.NumberLiteral x:
                return PlanNumber(x);
            case Ast.Expr.HexLiteral:
                throw SqlException.Unsupported("hex string literals", expr.Position());
            case Ast.Expr.IntervalLiteral x:
                return PlanInterval(x);
            case Ast.Expr.Parameter x:
                return PlanParameter(context, x);
            case Ast.Expr.Identifier x:
                return PlanIdentifier(context, x);
            case Ast.Expr.QualifiedWildcard x:
                return PlanWholeRow(context, x.Parts) ?? throw UnknownTable(context, x.Parts, x.Position());
            case Ast.Expr.FieldAccess x:
                return PlanFieldAccess(context, x);
            case Ast.Expr.WildcardAccess:
                throw SqlException.Plan($"wildcard expansion of a record is not allowed in {context.Clause}", expr.Position());
            case Ast.Expr.Not x:
                return Typing.Not(PlanAs(context, x.Input, SqlType.Bool, "NOT argument"));
            case Ast.Expr.And:
                {
                    List<HirScalarExpr> all = [];
                    Flatten(expr, e => e is Ast.Expr.And and ? (and.Left, and.Right) : null, e => all.Add(PlanAs(context, e, SqlType.Bool, "AND argument")));
                    return Typing.Bool(ScalarFunctions.And, [.. all]);
                }

            case Ast.Expr.Or:
                {
                    List<HirScalarExpr> all = [];
                    Flatten(expr, e => e is Ast.Expr.Or or ? (or.Left, or.Right) : null, e => all.Add(PlanAs(context, e, SqlType.Bool, "OR argument")));
                    return Typing.Bool(ScalarFunctions.Or, [.. all]);
                }

            case Ast.Expr.Is x:
                return PlanIs(context, x);
            case Ast.Expr.IsDistinctFrom x:
                {
                    // Typed as "=", so that the same operands are accepted.
                    var (left, right) = PlanEqualOperands(context, PlanExpr(context, x.Left), PlanExpr(context, x.Right), x.Position());
                    var same = Typing.Bool(ScalarFunctions.IsNotDistinctFrom, left, right);
                    return x.Negated ? same : Typing.Not(same);
                }

            case Ast.Expr.InList x:
                return PlanInList(context, x);
            case Ast.Expr.Like x:
                return PlanLike(context, x);
            case Ast.Expr.Between x:
                return PlanBetween(context, x);
            case Ast.Expr.Unary x:
                return PlanUnary(context, x);
            case Ast.Expr.Binary x:
                return PlanBinary(context, x);
            case Ast.Expr.Cast x:
                return PlanCast(context, x);
            case Ast.Expr.Collate x:
                return PlanCollate(context, x);
            case Ast.Expr.Function x:
                return PlanFunction(context, x);
            case Ast.Expr.Homogenizing x:
                return PlanHomogenizing(context, x);
            case Ast.Expr.NullIf x:
                {
                    var left = RowAsValue(PlanExpr(context, x.Left));
                    var equal = PlanOperator(context, "=", [left, PlanExpr(context, x.Right)], x.Position());
                    var value = Coercion.AsAny(_statement, left);
                    return new HirScalarExpr.If(equal, HirScalarExpr.Null(value.Type.Type), value);
                }

            case Ast.Expr.Case x:
                return PlanCase(context, x);
            case Ast.Expr.Exists or Ast.Expr.Subquery or Ast.Expr.InSubquery or Ast.Expr.QuantifiedSubquery or Ast.Expr.ArraySubquery
                or Ast.Expr.ListSubquery or Ast.Expr.MapSubquery:
                return PlanSubqueryExpr(context, expr);
            case Ast.Expr.Quantified x:
                return PlanQuantified(context, x);
            case Ast.Expr.Array x:
                return PlanArray(context, x, null);
            case Ast.Expr.List x:
                return PlanList(context, x, null);
            case Ast.Expr.Map x:
                return PlanMap(context, x, null);
            case Ast.Expr.Row x:
                return PlanRow(context, x);
            case Ast.Expr.Subscript x:
                return PlanSubscript(context, x);
            default:
                throw SqlException.Unsupported(expr.GetType().Name, expr.Position());
        }
    }

    private static void Flatten(Ast.Expr expr, Func<Ast.Expr, (Ast.Expr Left, Ast.Expr Right)?> split, Action<Ast.Expr> add)
    {
        // Left-deep chains can be long: walk them without recursion.
        Stack<Ast.Expr> right = [];
        var at = expr;
        while (split(at) is var (left, r))
        {
            right.Push(r);
            at = left;
        }

        add(at);
        while (right.TryPop(out var next))
            add(next);
    }

    private static HirScalarExpr PlanNumber(Ast.Expr.NumberLiteral literal)
    {
        if (int.TryParse(literal.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var int4))
            return Typing.Literal(int4);
        if (long.TryParse(literal.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var int8))
            return Typing.Literal(int8);
        return Constants.ParseLiteral(literal.Text, SqlType.Numeric, literal.Position());
    }

    private static HirScalarExpr PlanInterval(Ast.Expr.IntervalLiteral literal) => Constants.Interval(literal.Value, literal.Position());

    private Coercible PlanParameter(ExprContext context, Ast.Expr.Parameter parameter)
    {
        if (context.Macro is { } macro)
            return macro.Args[parameter.Index - 1].Shift(Depth(context.Scope) - macro.Depth);
        if (!_statement.AllowParameters)
            throw new SqlException(SqlState.UndefinedParameter, $"there is no parameter ${parameter.Index}") { Position = parameter.Position() };
        _statement.UseParameter(parameter.Index);
        return _statement.BoundValue(parameter.Index) is { } bound ? bound : new Coercible.Parameter(parameter.Index);
    }

    private static int Depth(Scope scope)
    {
        var depth = 0;
        for (var at = scope; at is not null; at = at.Outer)
            depth++;
        return depth;
    }

    private static HirScalarExpr ColumnOf(ResolvedColumn column) => new HirScalarExpr.Column(column.Level, column.Index, column.Item.Type);

    private HirScalarExpr PlanIdentifier(ExprContext context, Ast.Expr.Identifier identifier)
    {
        var parts = identifier.Parts;
        var position = identifier.Position();
        if (parts.Count == 1)
        {
            var name = parts[0].Value;
            if (context.Scope.Resolve(name, position) is { } column)
                return NoteColumn(context, column, position);
            if (PlanWholeRow(context, parts) is { } row)
                return row;
            if (name is "current_user" or "current_role" or "session_user" or "user" or "current_catalog" or "current_date" or "current_timestamp"
                && FunctionTable.Functions(name).FirstOrDefault(f => f.Params.IsEmpty) is not null)
                return PlanFunction(context, new Ast.Expr.Function(Ast.ObjectName.Of(name), new Ast.FunctionArgs.List([], [])) { Span = identifier.Span });
            throw UnknownColumn(context, null, name, position);
        }

        var table = TableName(parts, parts.Count - 1, position);
        if (context.Scope.Resolve(table, parts[^1].Value, position) is { } found)
            return NoteColumn(context, found, position);
        if (!context.Scope.HasTable(table, evenHidden: false))
            throw UnknownTable(context, parts.Take(parts.Count - 1), position);
        throw UnknownColumn(context, table, parts[^1].Value, position);
    }

    private HirScalarExpr NoteColumn(ExprContext context, ResolvedColumn column, int? position)
    {
        if (column.Level == 0 && context.Aggregates is not null && position is not null)
            _columnPositions.TryAdd(column.Index, position.Value);
        return ColumnOf(column);
    }

    private static PartialName TableName(IReadOnlyList<Ast.Ident> parts, int count, int? position) => count switch
    {
        1 => new PartialName(null, null, parts[0].Value),
        2 => new PartialName(null, parts[0].Value, parts[1].Value),
        3 => new PartialName(parts[0].Value, parts[1].Value, parts[2].Value),
        _ => throw SqlException.Plan($"qualified name did not have between 1 and 3 components: {string.Join('.', parts.Take(count))}", position),
    };

    private static SqlException UnknownColumn(ExprContext context, PartialName? table, string column, int? position)
    {
        var similar = context.Scope.AllColumns.Where(c => NameDistance.IsClose(c, column)).Distinct().Order(StringComparer.Ordinal).Take(3)
            .Select(c => $"\"{c}\"").ToList();
        var hint = similar.Count switch
        {
            0 => null,
            1 => $"The most similar column is {similar[0]}.",
            _ => $"The most similar columns are {string.Join(", ", similar.SkipLast(1))} and {similar[^1]}.",
        };
        return SqlException.Plan($"column \"{(table is null ? column : $"{table}.{column}")}\" does not exist", position, hint);
    }

    private static SqlException UnknownTable(ExprContext context, IEnumerable<Ast.Ident> parts, int? position)
    {
        var list = parts.ToList();
        var name = string.Join('.', list.Select(p => p.Value));
        if (context.Scope.HasTable(TableName(list, list.Count, position), evenHidden: true))
        {
            return SqlException.Plan(
                $"invalid reference to FROM-clause entry for table \"{name}\"", position,
                hint: $"There is an entry for table \"{name}\", but it cannot be referenced from this part of the query.");
        }

        return SqlException.Plan($"no table named '{name}' in scope", position);
    }

    /// <summary>A table's name as a value: a record of its columns; the value itself for a function of one column.</summary>
    private static HirScalarExpr? PlanWholeRow(ExprContext context, IReadOnlyList<Ast.Ident> parts)
    {
        if (context.Scope.ResolveTable(TableName(parts, parts.Count, null), null) is not { } columns)
            return null;
        if (columns is [{ Item.IsScalarFunction: true } only])
            return ColumnOf(only);
        columns = columns.Where(c => !c.Item.IsHidden).ToList();
        var type = new SqlType(ScalarKind.Record) { Fields = columns.Select(c => new RecordField(c.Item.Column, c.Item.Type)).ToValueArray() };
        return Typing.Call(ScalarFunctions.RecordCreate, type, [.. columns.Select(ColumnOf)]);
    }

    private HirScalarExpr PlanFieldAccess(ExprContext context, Ast.Expr.FieldAccess access)
    {
        var input = PlanScalar(context, access.Input);
        var type = input.Type.Type;
        if (type.Kind != ScalarKind.Record)
            throw SqlException.Plan($"column notation applied to type {type.ToSql()}, which is not a composite type", access.Position());
        for (var i = 0; i < type.Fields.Count; i++)
        {
            if (type.Fields[i].Name == access.Field.Value)
                return Field(input, i);
        }

        throw SqlException.Plan($"field {access.Field.Value} not found in data type {type.ToSql()}", access.Position());
    }

    private static HirScalarExpr Field(HirScalarExpr record, int index) =>
        record is HirScalarExpr.Call { Func: var func } call && func == ScalarFunctions.RecordCreate
            ? call.Args[index]
            : Typing.Call(ScalarFunctions.RecordGet, record.Type.Type.Fields[index].Type.Type, record, Typing.Literal(index));

    private HirScalarExpr PlanIs(ExprContext context, Ast.Expr.Is x)
    {
        var input = x.Test == Ast.IsTest.Null ? PlanScalar(context, x.Input) : PlanAs(context, x.Input, SqlType.Bool);
        var test = x.Test switch
        {
            Ast.IsTest.Null or Ast.IsTest.Unknown => Typing.IsNull(input),
            Ast.IsTest.True => Typing.Bool(ScalarFunctions.IsTrue, input),
            _ => Typing.Bool(ScalarFunctions.IsFalse, input),
        };
        return x.Negated ? Typing.Not(test) : test;
    }

    private HirScalarExpr PlanInList(ExprContext context, Ast.Expr.InList x)
    {
        // As in Postgres the elements and the value find one type together when that works, else each comparison its own.
        var input = PlanExpr(context, x.Input);
        var elements = x.Elements.Select(e => PlanExpr(context, e)).ToList();
        List<Coercible> all = [input, .. elements];
        if (input is not Coercible.Row && all.TrueForAll(e => e is not Coercible.Row))
        {
            var target = Coercion.BestTarget(_statement, all);
            target = target.Kind is ScalarKind.Record or ScalarKind.List or ScalarKind.Array or ScalarKind.Map ? target : target with { Modifier = null };
            var cast = all.Select(e => e is Coercible.Typed { Expr: var typed } && typed.Type.Type.BaseEquals(target)
                ? typed
                : Coercion.TryCoerce(_statement, CastContext.Implicit, e, target)).ToList();
            if (cast.TrueForAll(e => e is not null))
            {
                input = cast[0]!;
                elements = cast.Skip(1).Select(Coercible (e) => e!).ToList();
            }
        }

        var tests = elements.Select(e => PlanOperator(context, "=", [input, e], x.Position())).ToArray();
        var any = tests.Length == 1 ? tests[0] : Typing.Bool(ScalarFunctions.Or, tests);
        return x.Negated ? Typing.Not(any) : any;
    }

    private HirScalarExpr PlanLike(ExprContext context, Ast.Expr.Like x)
    {
        var pattern = PlanExpr(context, x.Pattern);
        if (x.Escape is not null)
            pattern = PlanCall(context, "like_escape", [pattern, PlanExpr(context, x.Escape)], x.Position());
        var op = (x.Negated ? "!~~" : "~~") + (x.CaseInsensitive ? "*" : "");
        return PlanOperator(context, op, [PlanExpr(context, x.Input), pattern], x.Position());
    }

    private HirScalarExpr PlanBetween(ExprContext context, Ast.Expr.Between x)
    {
        var input = PlanExpr(context, x.Input);
        var low = PlanExpr(context, x.Low);
        var high = PlanExpr(context, x.High);
        HirScalarExpr In(Coercible a, Coercible b) => Typing.Bool(
            ScalarFunctions.And,
            PlanOperator(context, ">=", [input, a], x.Position()),
            PlanOperator(context, "<=", [input, b], x.Position()));
        var between = x.Symmetric ? Typing.Bool(ScalarFunctions.Or, In(low, high), In(high, low)) : In(low, high);
        return x.Negated ? Typing.Not(between) : between;
    }

    private HirScalarExpr PlanUnary(ExprContext context, Ast.Expr.Unary x)
    {
        // -9223372036854775808 and its like: the literal alone would be too large for its type.
        if (x.Op.Name == "-" && x.Input is Ast.Expr.NumberLiteral number && !number.Text.StartsWith('-')
            && long.TryParse("-" + number.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var negative) && negative == long.MinValue)
            return Typing.Literal(negative);
        return PlanOperator(context, x.Op.Name, [PlanExpr(context, x.Input)], x.Op.Position() ?? x.Position());
    }

    private HirScalarExpr PlanBinary(ExprContext context, Ast.Expr.Binary x)
    {
        // Long chains of one operator lean left: plan them without recursion.
        if (x.Left is not Ast.Expr.Binary)
            return PlanOperator(context, x.Op.Name, [PlanExpr(context, x.Left), PlanExpr(context, x.Right)], x.Op.Position() ?? x.Position());
        Stack<Ast.Expr.Binary> chain = [];
        Ast.Expr at = x;
        while (at is Ast.Expr.Binary binary)
        {
            chain.Push(binary);
            at = binary.Left;
        }

        var result = PlanExpr(context, at);
        while (chain.TryPop(out var next))
            result = PlanOperator(context, next.Op.Name, [result, PlanExpr(context, next.Right)], next.Op.Position() ?? next.Position());
        return ((Coercible.Typed)result).Expr;
    }

    private HirScalarExpr PlanCast(ExprContext context, Ast.Expr.Cast x)
    {
        var type = TypeResolution.Resolve(_statement, x.Type);
        var input = (x.Input, type.Kind) switch
        {
            (Ast.Expr.Array array, ScalarKind.Array) => PlanArray(context, array, type),
            (Ast.Expr.List list, ScalarKind.List) => PlanList(context, list, type),
            (Ast.Expr.Map map, ScalarKind.Map) => PlanMap(context, map, type),
            _ => PlanExpr(context, x.Input),
        };
        if (input is Coercible.Typed { Expr: not HirScalarExpr.Literal { Value.IsNull: true } } typed && RegCast(typed.Expr.Type.Type.Kind, type.Kind, typed.Expr is HirScalarExpr.Literal) is { } sql)
            return PlanText(context, sql, typed.Expr);
        return Coercion.Coerce(_statement, "CAST", CastContext.Explicit, input, type, x.Position());
    }

    /// <summary>
    /// Between texts and the types that stand for an object's name, the catalog decides: in SQL, over $1. Null for other casts, and for texts that are known while planning, which are
    /// looked up then.
    /// </summary>
    private static string? RegCast(ScalarKind from, ScalarKind to, bool isLiteral)
    {
        const string Relations = "o.type IN ('table', 'source', 'view', 'materialized-view', 'index', 'sink')";
        return (from, to) switch
        {
            (ScalarKind.RegClass, ScalarKind.String) => NameOf(Relations),
            (ScalarKind.RegProc, ScalarKind.String) => NameOf("o.type = 'function'"),
            (ScalarKind.RegType, ScalarKind.String) => "pg_catalog.format_type($1::oid, NULL)",
            (ScalarKind.String, ScalarKind.RegClass) when !isLiteral => OidOf("relation", "regclass", Relations),
            (ScalarKind.String, ScalarKind.RegProc) when !isLiteral => OidOf("function", "regproc", "o.type = 'function'"),
            (ScalarKind.String, ScalarKind.RegType) when !isLiteral => OidOf("type", "regtype", "o.type = 'type'"),
            _ => null,
        };

        // With its schema where the bare name could mean another; the number where there is no such object.
        static string NameOf(string kind) =>
            $"""
            CASE WHEN $1 IS NULL THEN NULL ELSE coalesce((
                SELECT CASE WHEN (SELECT count(*) FROM mz_catalog.mz_objects o2 WHERE o2.name = o.name AND {kind.Replace("o.", "o2.", StringComparison.Ordinal)}) > 1 THEN s.name || '.' || o.name ELSE o.name END
                FROM mz_catalog.mz_objects o JOIN mz_catalog.mz_schemas s ON s.id = o.schema_id WHERE o.oid = $1::oid AND {kind} LIMIT 1), $1::oid::text) END
            """;

        static string OidOf(string what, string type, string kind) =>
            $$"""
            CASE WHEN $1 IS NULL THEN NULL WHEN $1 ~ '^[0-9]+$' THEN $1::oid::{{type}}
            ELSE mz_unsafe.mz_error_if_null((
                SELECT o.oid FROM mz_catalog.mz_objects o JOIN mz_catalog.mz_schemas s ON s.id = o.schema_id LEFT JOIN mz_catalog.mz_databases d ON d.id = s.database_id
                WHERE {{kind}} AND (d.name IS NULL OR d.name = current_database())
                    AND ((o.name = $1 AND s.name = ANY (current_schemas(true))) OR s.name || '.' || o.name = $1 OR d.name || '.' || s.name || '.' || o.name = $1)
                ORDER BY array_position(current_schemas(true), s.name), o.oid LIMIT 1), '{{what}} "' || $1 || '" does not exist')::{{type}} END
            """;
    }

    private Coercible PlanCollate(ExprContext context, Ast.Expr.Collate x)
    {
        if (x.Collation.Item.Value is not ("default" or "C" or "POSIX"))
            throw SqlException.Unsupported("COLLATE", x.Position());
        return PlanExpr(context, x.Input);
    }

    private HirScalarExpr PlanHomogenizing(ExprContext context, Ast.Expr.Homogenizing x)
    {
        var (name, func) = x.Kind switch
        {
            Ast.HomogenizingFunction.Coalesce => ("COALESCE", ScalarFunctions.Coalesce),
            Ast.HomogenizingFunction.Greatest => ("GREATEST", ScalarFunctions.Greatest),
            _ => ("LEAST", ScalarFunctions.Least),
        };
        var args = Coercion.Unify(_statement, name, x.Args.Select(a => PlanExpr(context, a)).ToList(), position: x.Position());
        return Typing.Call(func, args[0].Type.Type, args);
    }

    /// <summary>A row written out that NULLIF or CASE compare is a value to them, and values that are records are equal as wholes, nulls among them.</summary>
    private Coercible RowAsValue(Coercible expr) => expr is Coercible.Row ? Coercion.AsAny(_statement, expr) : expr;

    private HirScalarExpr PlanCase(ExprContext context, Ast.Expr.Case x)
    {
        var operand = x.Operand is null ? null : RowAsValue(PlanExpr(context, x.Operand));
        var conditions = x.Arms.Select(a => operand is null
            ? PlanAs(context, a.Condition, SqlType.Bool, "CASE condition")
            : PlanOperator(context, "=", [operand, PlanExpr(context, a.Condition)], a.Condition.Position())).ToList();
        var results = x.Arms.Select(a => PlanExpr(context, a.Result)).Append(x.Else is null ? new Coercible.NullLiteral() : PlanExpr(context, x.Else)).ToList();
        var unified = Coercion.Unify(_statement, "CASE", results, position: x.Position());
        var result = unified[^1];
        for (var i = conditions.Count - 1; i >= 0; i--)
            result = new HirScalarExpr.If(conditions[i], unified[i], result);
        return result;
    }

    private Coercible PlanRow(ExprContext context, Ast.Expr.Row x)
    {
        List<Coercible> fields = [];
        foreach (var element in x.Elements)
        {
            if (element is Ast.Expr.QualifiedWildcard wildcard)
            {
                var columns = context.Scope.ResolveTable(TableName(wildcard.Parts, wildcard.Parts.Count, element.Position()), element.Position())
                    ?? throw UnknownTable(context, wildcard.Parts, element.Position());
                fields.AddRange(columns.Select(Coercible (c) => ColumnOf(c)));
            }
            else
            {
                fields.Add(PlanExpr(context, element));
            }
        }

        return new Coercible.Row(fields.ToValueArray());
    }
}
