namespace Materialize.SystemTests.RandomSql;

/// <summary>Predicates, in the logic of three values.</summary>
internal sealed partial class QueryGenerator
{
    private string Condition(Scope scope, int depth)
    {
        if (depth <= 0)
            return Comparison(scope, 0);
        switch (_choices.Next(16))
        {
            case 0 or 1 or 2:
                return Comparison(scope, depth - 1);
            case 3 or 4:
                return $"({Condition(scope, depth - 1)} AND {Condition(scope, depth - 1)})";
            case 5 or 6:
                return $"({Condition(scope, depth - 1)} OR {Condition(scope, depth - 1)})";
            case 7:
                return $"(NOT {Condition(scope, depth - 1)})";
            case 8:
                return $"({Scalar(SomeKind(scope), scope, depth - 1)} IS {_choices.Of("", "NOT ")}NULL)";
            case 9:
                return $"({Condition(scope, depth - 1)} IS {_choices.Of("", "NOT ")}{_choices.Of("TRUE", "FALSE", "UNKNOWN")})";
            case 10:
                return Membership(scope, depth - 1);
            case 11:
                return Pattern(scope, depth - 1);
            case 12 when Leaf(Kind.Bool, scope) is var truth:
                return $"({truth})";
            case 13 when SomeOrderedKind(scope) is var kind:
                return $"({Scalar(kind, scope, depth - 1)} {_choices.Of("", "NOT ")}BETWEEN {_choices.Of("", "SYMMETRIC ")}{Leaf(kind, scope)} AND {Leaf(kind, scope)})";
            case 14 or 15 when scope.HasSubqueries && Spend():
                return SubqueryCondition(scope, depth - 1);
            default:
                return Comparison(scope, depth - 1);
        }
    }

    private string Comparison(Scope scope, int depth)
    {
        var kind = SomeKind(scope);
        var left = Scalar(kind, scope, depth);
        var right = Scalar(Comparable(kind), scope, depth);
        var op = kind == Kind.Jsonb ? _choices.Of("=", "<>", "IS DISTINCT FROM", "@>") : _choices.Of("=", "=", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM");
        return $"({left} {op} {right})";
    }

    private Kind Comparable(Kind kind)
    {
        if (_choices.Chance(80))
            return kind;
        return kind switch
        {
            Kind.Date => Kind.Timestamp,
            Kind.Timestamp => Kind.Date,
            _ when Kinds.IsNumber(kind) => _choices.Pick(Kinds.Numbers),
            _ => kind,
        };
    }

    private string Membership(Scope scope, int depth)
    {
        var kind = SomeKind(scope);
        var value = Scalar(kind, scope, depth);
        var items = string.Join(", ", Enumerable.Range(0, 1 + _choices.Next(3)).Select(_ => Leaf(kind, scope).Text));
        return _choices.Next(4) switch
        {
            0 => $"({value} IN ({items}))",
            1 => $"({value} NOT IN ({items}))",
            2 => $"({value} {(kind == Kind.Jsonb ? "=" : _choices.Of("=", "<", ">=", "<>"))} {_choices.Of("ANY", "ALL")} (ARRAY[{items}]))",
            _ => $"(({value}, {Leaf(Kind.Text, scope)}) {_choices.Of("=", "<>")} ({Leaf(kind, scope)}, {Leaf(Kind.Text, scope)}))",
        };
    }

    private string Pattern(Scope scope, int depth)
    {
        var value = Scalar(Kind.Text, scope, depth);
        return _choices.Next(6) switch
        {
            0 => $"({value} LIKE {_choices.Of("'a%'", "'%b'", "'_'", "'%'", "''", "'%b%'", "'a\\%b'")})",
            1 => $"({value} NOT LIKE '%{_choices.Of("a", "b", "A")}%')",
            2 => $"({value} ILIKE {_choices.Of("'A%'", "'%B_'", "'abc'")})",
            3 => $"({value} ~ {_choices.Of("'^a'", "'b$'", "'[0-9]+'", "'a.*b'", "'^$'")})",
            4 => $"({value} !~* {_choices.Of("'^A'", "'B'", "'c$'")})",
            _ => $"starts_with({value}, {Leaf(Kind.Text, scope)})",
        };
    }

    private string SubqueryCondition(Scope scope, int depth)
    {
        var kind = SomeKind(scope);
        switch (_choices.Next(7))
        {
            case 0 or 1:
                return $"({_choices.Of("", "NOT ")}EXISTS ({Relation([SomeKind(scope)], scope.Inner(), depth).Text}))";
            case 2 or 3:
                return $"({Scalar(kind, scope, depth)} {_choices.Of("IN", "NOT IN")} ({Relation([kind], scope.Inner(), depth).Text}))";
            case 4:
                var other = SomeKind(scope);
                return $"(({Scalar(kind, scope, depth)}, {Scalar(other, scope, 0)}) {_choices.Of("IN", "NOT IN")} ({Relation([kind, other], scope.Inner(), depth).Text}))";
            case 5:
                var ordered = SomeOrderedKind(scope);
                return $"({Scalar(ordered, scope, depth)} {_choices.Of("=", "<", ">=", "<>", ">")} {_choices.Of("ANY", "ALL")} ({Relation([ordered], scope.Inner(), depth).Text}))";
            default:
                return $"({Scalar(kind, scope, depth)} {_choices.Of("=", "<>", "IS DISTINCT FROM")} {ScalarSubquery(kind, scope, depth)})";
        }
    }

    private Kind SomeOrderedKind(Scope scope) => SomeKind(scope) is var kind && kind != Kind.Jsonb ? kind : Kind.Int4;
}
