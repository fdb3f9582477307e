namespace Materialize.SystemTests.RandomSql;

/// <summary>Expressions of a given type. None can fail: divisors are nullif(…, 0), and numbers are kept within bounds.</summary>
internal sealed partial class QueryGenerator
{
    private Ex Scalar(Kind kind, Scope scope, int depth)
    {
        if (depth <= 0 || _choices.Chance(30))
            return Leaf(kind, scope);
        if (scope.Grouped is not null && _choices.Chance(45))
            return Aggregate(kind, scope.Grouped, depth - 1);
        switch (_choices.Next(9))
        {
            case 0:
                return Leaf(kind, scope);
            case 1:
                return Case(kind, scope, depth);
            case 2:
                var (first, second) = (Scalar(kind, scope, depth - 1), Scalar(kind, scope, depth - 1));
                return new Ex($"coalesce({first}, {second})", kind, Math.Max(first.Bound, second.Bound));
            case 3:
                var value = Scalar(kind, scope, depth - 1);
                return value with { Text = $"nullif({value}, {Scalar(kind, scope, depth - 1)})" };
            case 4 when kind != Kind.Jsonb:
                var (one, other) = (Scalar(kind, scope, depth - 1), Scalar(kind, scope, depth - 1));
                return new Ex($"{_choices.Of("greatest", "least")}({one}, {other})", kind, Math.Max(one.Bound, other.Bound));
            case 5 when scope.HasSubqueries && Spend():
                return ScalarSubquery(kind, scope, depth - 1);
            default:
                return Particular(kind, scope, depth);
        }
    }

    private Ex Leaf(Kind kind, Scope scope)
    {
        var local = scope.Atoms.Where(a => a.Kind == kind).ToList();
        var outer = scope.Outer?.Atoms.Where(a => a.Kind == kind).ToList() ?? [];
        if (outer.Count > 0 && (local.Count == 0 || _choices.Chance(30)))
            return _choices.Pick(outer).Ex;
        if (local.Count > 0 && !_choices.Chance(15))
            return _choices.Pick(local).Ex;
        if (_choices.Chance(8))
            return new Ex($"NULL::{Kinds.Type(kind)}", kind, 0);
        return new Ex(_kinds.Literal(_choices, kind), kind, Kinds.Most(kind));
    }

    private Ex Case(Kind kind, Scope scope, int depth)
    {
        var then = Scalar(kind, scope, depth - 1);
        switch (_choices.Next(3))
        {
            case 0:
                return then with { Text = $"CASE WHEN {Condition(scope, depth - 1)} THEN {then} END" };
            case 1:
                var otherwise = Scalar(kind, scope, depth - 1);
                return new Ex($"CASE WHEN {Condition(scope, depth - 1)} THEN {then} ELSE {otherwise} END", kind, Math.Max(then.Bound, otherwise.Bound));
            default:
                var by = SomeKind(scope);
                var last = Leaf(kind, scope);
                return new Ex(
                    $"CASE {Scalar(by, scope, depth - 1)} WHEN {Leaf(by, scope)} THEN {then} WHEN {Leaf(by, scope)} THEN NULL ELSE {last} END",
                    kind,
                    Math.Max(then.Bound, last.Bound));
        }
    }

    private Ex ScalarSubquery(Kind kind, Scope scope, int depth)
    {
        if (kind == Kind.Jsonb || _choices.Chance(50))
        {
            var query = AggregateQuery([kind], scope.Inner(), depth);
            return query.Columns[0] with { Text = $"({query.Text})" };
        }

        var rows = Limited(Relation([kind], scope.Inner(), depth), "1");
        return rows.Columns[0] with { Text = $"({rows.Text})" };
    }

    private Ex Particular(Kind kind, Scope scope, int depth) => kind switch
    {
        Kind.Bool => new Ex(Condition(scope, depth), kind, 0),
        Kind.Text => new Ex(TextOf(scope, depth - 1), kind, 0),
        Kind.Date => new Ex($"({Scalar(Kind.Timestamp, scope, depth - 1)})::date", kind, 0),
        Kind.Timestamp => new Ex(TimestampOf(scope, depth - 1), kind, 0),
        Kind.Interval => IntervalOf(scope, depth - 1),
        Kind.Jsonb => new Ex(JsonOf(scope, depth - 1), kind, 0),
        _ => NumberOf(kind, scope, depth - 1),
    };

    private Ex NumberOf(Kind kind, Scope scope, int depth)
    {
        var type = Kinds.Type(kind);
        var a = Scalar(kind, scope, depth);
        switch (_choices.Next(11))
        {
            case 0:
                return Arithmetic(a, _choices.Of("+", "-"), Scalar(kind, scope, depth));
            case 1:
                return Arithmetic(a, "*", Scalar(kind, scope, depth));
            case 2:
                return a with { Text = $"(- {a})" };
            case 3 when kind != Kind.Float8:
                var divisor = Scalar(kind, scope, depth);
                if (kind == Kind.Numeric)
                    return a with { Text = $"round({a} % nullif({divisor}, 0), 3)" };
                // The quotient of the smallest by -1 is out of reach of the bounds.
                return a with { Text = $"({a} {_choices.Of("/", "%")} nullif({divisor}, 0))" };
            case 4:
                return a with { Text = $"abs({a})" };
            case 5 when kind is Kind.Int4:
                return new Ex(_choices.Of($"length({Scalar(Kind.Text, scope, depth)})", $"ascii({Scalar(Kind.Text, scope, depth)})", $"strpos({Scalar(Kind.Text, scope, depth)}, {Leaf(Kind.Text, scope)})"), kind, 1_000_000);
            case 6 when kind is Kind.Int4:
                return new Ex($"({Scalar(Kind.Date, scope, depth)} - {Scalar(Kind.Date, scope, depth)})", kind, 1_000_000);
            case 6 when kind is Kind.Numeric:
                return new Ex($"extract({_choices.Of("year", "month", "day", "dow", "quarter", "doy", "week")} FROM {Scalar(_choices.Of(Kind.Date, Kind.Timestamp), scope, depth)})", kind, 10_000);
            case 7 when kind is Kind.Int8:
                return new Ex($"extract(epoch FROM {Scalar(Kind.Timestamp, scope, depth)} - {Scalar(Kind.Timestamp, scope, depth)})::int8", kind, 1e11);
            case 7 when kind is Kind.Int4:
                return new Ex($"({Scalar(Kind.Bool, scope, depth)})::int4", kind, 1);
            case 8 when kind is Kind.Numeric or Kind.Float8:
                return new Ex($"{_choices.Of("floor", "ceil", "round", "trunc")}({a})", kind, a.Bound + 1);
            case 9 when kind is Kind.Numeric:
                return new Ex($"round({a}, {_choices.Of("0", "1", "2")})", kind, a.Bound + 1);
            default:
                var from = _choices.Pick(Kinds.Numbers);
                if (from == Kind.Float8 && (_kinds.HasNaN || kind == Kind.Numeric))
                    from = Kind.Int4;
                var number = Scalar(from, scope, depth);
                return number.Bound + 1 < Kinds.Limit(kind) ? new Ex($"({number})::{type}", kind, number.Bound + 1) : a;
        }
    }

    private static Ex Arithmetic(Ex a, string op, Ex b)
    {
        var bound = op == "*" ? a.Bound * b.Bound : a.Bound + b.Bound;
        return bound < Kinds.Limit(a.Kind) ? new Ex($"({a} {op} {b})", a.Kind, bound) : a;
    }

    private string TextOf(Scope scope, int depth)
    {
        var a = Scalar(Kind.Text, scope, depth);
        var few = _choices.Of("1", "2", "0", "3");
        return _choices.Next(21) switch
        {
            0 => $"({a} || {Scalar(Kind.Text, scope, depth)})",
            1 => $"upper({a})",
            2 => $"lower({a})",
            3 => $"substring({a} FROM {few})",
            4 => $"substr({a}, {few}, 2)",
            5 => $"left({a}, {_choices.Of("1", "0", "-1")})",
            6 => $"right({a}, {_choices.Of("1", "0", "-1")})",
            7 => $"replace({a}, {Leaf(Kind.Text, scope)}, 'z')",
            8 => $"reverse({a})",
            9 => $"trim({a})",
            10 => $"concat({a}, {Scalar(_choices.Of(Kind.Int4, Kind.Text, Kind.Date), scope, depth)}, 'c')",
            11 => $"concat_ws('-', {a}, {Scalar(_choices.Of(Kind.Int8, Kind.Text), scope, depth)})",
            12 => $"lpad({a}, {_choices.Of("3", "1", "0")}, 'p')",
            13 => $"split_part({a}, 'b', {_choices.Of("1", "2")})",
            14 => $"translate({a}, 'ab', 'x')",
            15 => $"({Scalar(_choices.Of(Kind.Int4, Kind.Int8, Kind.Int2, Kind.Bool, Kind.Date, Kind.Timestamp), scope, depth)})::text",
            16 => $"to_char({Scalar(Kind.Timestamp, scope, depth)}, 'YYYY-MM-DD HH24:MI')",
            17 => ColumnOf(Kind.Jsonb, scope) is { } json ? $"({json} ->> {_choices.Of("'a'", "'b'")})" : a.Text,
            18 => $"jsonb_typeof({Scalar(Kind.Jsonb, scope, depth)})",
            19 => $"repeat({a}, {_choices.Of("2", "0")})",
            _ => $"md5({a})",
        };
    }

    private string TimestampOf(Scope scope, int depth) => _choices.Next(4) switch
    {
        0 => $"({Scalar(Kind.Date, scope, depth)})::timestamp",
        1 => $"({Scalar(Kind.Timestamp, scope, depth)} {_choices.Of("+", "-")} {Leaf(Kind.Interval, scope)})",
        2 => $"({Scalar(Kind.Date, scope, depth)} + {Leaf(Kind.Interval, scope)})",
        _ => $"date_trunc('{_choices.Of("month", "year", "day", "hour", "week", "quarter")}', {Scalar(Kind.Timestamp, scope, depth)})",
    };

    private Ex IntervalOf(Scope scope, int depth)
    {
        var a = Scalar(Kind.Interval, scope, depth);
        return _choices.Next(3) switch
        {
            0 => Arithmetic(a, _choices.Of("+", "-"), Scalar(Kind.Interval, scope, depth)),
            1 => a.Bound * 3 < Kinds.Limit(Kind.Interval) ? new Ex($"({a} * {_choices.Of("2", "3", "0")})", Kind.Interval, a.Bound * 3) : a,
            _ => a with { Text = $"(- {a})" },
        };
    }

    private string JsonOf(Scope scope, int depth)
    {
        var a = Leaf(Kind.Jsonb, scope);
        return _choices.Next(5) switch
        {
            0 => $"({a} -> {_choices.Of("'a'", "'b'", "'n'")})",
            1 => $"to_jsonb({Scalar(_choices.Of(Kind.Int4, Kind.Text, Kind.Bool), scope, depth)})",
            2 => $"jsonb_build_object('a', {Scalar(_choices.Of(Kind.Int4, Kind.Text, Kind.Bool), scope, depth)}, 'n', {a})",
            3 => $"jsonb_build_array({Scalar(_choices.Of(Kind.Int4, Kind.Text, Kind.Bool), scope, depth)}, {a})",
            _ => $"(jsonb_build_object('b', {Scalar(Kind.Int4, scope, depth)}) || jsonb_build_object('a', {Scalar(Kind.Bool, scope, depth)}))",
        };
    }

    /// <summary>An aggregate of a type, over arguments of <paramref name="rows"/>. What it counts is of its own query: an argument of the outer one only would make it the outer's.</summary>
    private Ex Aggregate(Kind kind, Scope rows, int depth)
    {
        var inner = rows with { Outer = null, HasSubqueries = rows.HasSubqueries && _choices.Chance(20) };
        var filter = _choices.Chance(20) ? $" FILTER (WHERE {Condition(inner, depth)})" : "";
        var distinct = _choices.Chance(20) ? "DISTINCT " : "";
        switch (_choices.Next(5), kind)
        {
            case (0, not Kind.Bool and not Kind.Jsonb):
                var a = Scalar(kind, inner, depth);
                return a with { Text = $"{_choices.Of("min", "max")}({distinct}{a}){filter}" };
            case (1, Kind.Int8):
                return new Ex($"count(*){filter}", kind, 1e6);
            case (2 or 3, Kind.Int8 or Kind.Float8 or Kind.Interval):
                var term = Scalar(kind == Kind.Int8 ? _choices.Of(Kind.Int4, Kind.Int2) : kind, inner, depth);
                if (rows.Outer is not null && kind == Kind.Int8 && rows.Atoms.FirstOrDefault(x => x.Kind == Kind.Int4 && x.IsSimple) is { } local && _choices.Chance(20))
                    term = Arithmetic(local.Ex, "+", Leaf(Kind.Int4, rows));
                return term.Bound * 100 < Kinds.Limit(kind) ? new Ex($"sum({distinct}{term}){filter}", kind, term.Bound * 100) : term with { Text = $"max({distinct}({term})::{Kinds.Type(kind)}){filter}", Kind = kind };
            case (2, Kind.Numeric):
                var addend = Scalar(_choices.Of(Kind.Numeric, Kind.Int8), inner, depth);
                return addend.Bound * 100 < Kinds.Limit(kind) ? new Ex($"sum({distinct}{addend}){filter}", kind, addend.Bound * 100) : new Ex("0::numeric", kind, 0);
            case (3, Kind.Numeric):
                var averaged = Scalar(_choices.Of(Kind.Int4, Kind.Int2, Kind.Numeric), inner, depth);
                return new Ex($"round(avg({distinct}{averaged}){filter}, 4)", kind, averaged.Bound);
            case (4, Kind.Numeric):
                return new Ex($"round({_choices.Of("var_pop", "variance")}({distinct}{Leaf(Kind.Int4, inner)}){filter}, 3)", kind, 1e12);
            case (_, Kind.Bool):
                return new Ex($"{_choices.Of("bool_or", "bool_and")}({distinct}{Scalar(kind, inner, depth)}){filter}", kind, 0);
            case (2, Kind.Text):
                var joined = Scalar(kind, inner, depth);
                return new Ex($"string_agg({distinct}{joined}, ',' ORDER BY {joined}{_choices.Of("", " DESC")}){filter}", kind, 0);
            case (3, Kind.Text):
                var element = Scalar(_choices.Of(Kind.Int4, Kind.Text), inner, depth);
                return new Ex($"array_to_string(array_agg({distinct}{element} ORDER BY {element}{_choices.Of("", " DESC", " NULLS FIRST")}){filter}, ',', 'N')", kind, 0);
            case (_, Kind.Jsonb):
                var item = Scalar(_choices.Of(Kind.Int4, Kind.Text, Kind.Bool), inner, depth);
                return new Ex($"jsonb_agg({distinct}{item} ORDER BY {item}){filter}", kind, 0);
            case (4, Kind.Int4):
                return new Ex($"count({distinct}{Scalar(SomeKind(inner), inner, depth)}){filter}::int4", kind, 1e6);
            case (4, Kind.Int8):
                return new Ex($"count({distinct}{Scalar(SomeKind(inner), inner, depth)}){filter}", kind, 1e6);
            default:
                var last = Scalar(kind, inner, depth);
                return last with { Text = $"max({distinct}{last}){filter}" };
        }
    }

    private string? ColumnOf(Kind kind, Scope scope)
    {
        var columns = scope.Atoms.Concat(scope.Outer?.Atoms ?? []).Where(a => a.Kind == kind && a.Ex.Text.Contains(".j", StringComparison.Ordinal)).ToList();
        return columns.Count == 0 ? null : _choices.Pick(columns).Ex.Text;
    }

    /// <summary>A type that there are columns of, if there are columns.</summary>
    private Kind SomeKind(Scope scope)
    {
        var atoms = scope.Atoms.Count > 0 ? scope.Atoms : scope.Outer?.Atoms ?? [];
        return atoms.Count > 0 ? _choices.Pick(atoms).Kind : _choices.Pick(Kinds.All);
    }
}
