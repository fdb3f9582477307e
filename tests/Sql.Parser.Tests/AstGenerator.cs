using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser.Tests;

/// <summary>
/// Random trees of the kind the parser makes: no parentheses of its own, no node the text cannot say (a query that is only a parenthesis,
/// a UNION to the right of a UNION without one, a bare subquery as the array of ANY).
/// </summary>
internal sealed class AstGenerator(Random random)
{
    private static readonly string[] Names =
        ["a", "b", "t", "u1", "x_y", "$", "A b", "Ünï", "q\"q", "1a", "select", "from", "left", "right", "row", "array", "list", "map", "interval", "case",
            "end", "not", "null", "true", "cast", "extract", "substring", "position", "trim", "normalize", "coalesce", "any", "all", "operator", "at", "of",
            "as", "on", "off", "limit", "order", "group", "lateral", "rows", "values", "table", "show", "char", "int", "date", "timestamp", "time",
            "distinct", "filter", "over", "escape", "and", "is", "in", "like", "between", "isnull", "collate", "current", "default", "public", "set", "to",
            "mutually", "recursive", "union", "asc", "desc", "nulls", "unknown", "desc", "ignore", "for", "when", "exists", "double", "with", "natural"];

    private static readonly string[] Operators =
        ["+", "-", "*", "/", "%", "=", "<>", "<", ">", "<=", ">=", "||", "->", "->>", "#>", "@>", "<@", "?", "?|", "&&", "~", "!~*", "<<", "&", "|", "#", "^", "~~", "-|-"];

    private static readonly string[] TypeNames = ["int4", "text", "numeric", "bpchar", "timestamp", "timestamptz", "interval", "time", "char", "Weird", "int", "list", "json", "double"];

    private bool Coin(int of = 2) => random.Next(of) == 0;

    private T Pick<T>(params ReadOnlySpan<T> items) => items[random.Next(items.Length)];

    private AstList<T> Many<T>(int least, int most, Func<T> item) => Enumerable.Range(0, random.Next(least, most + 1)).Select(_ => item()).ToAstList();

    public Ident Ident() => new(Pick<string>(Names));

    private ObjectName Name() => Coin(12)
        ? new ObjectName(Many(1, 3, Ident), "u" + random.Next(99), Coin() ? random.Next(9) : null)
        : new ObjectName(Many(1, 3, Ident));

    private string Text() => Pick("", "x", "it's", "a\\b", "--", "/*", "$$", "ü😀", "\n", "1 day");

    private string Number() => Pick("0", "1", "42", "1.5", ".5", "1e10", "99999999999999999999", "0.0");

    private Operator Op() => new(Pick<string>(Operators), Coin(8) ? Many(1, 2, Ident) : []);

    public DataType Type(int depth) => (depth <= 0 ? 0 : random.Next(6)) switch
    {
        1 => new DataType.Array(Type(depth - 1) is var t and not DataType.Array ? t : new DataType.Named(ObjectName.Of("int4"), [])),
        2 => new DataType.List(Type(depth - 1)),
        3 => new DataType.Map(Type(depth - 1), Type(depth - 1)),
        _ => new DataType.Named(Coin() ? ObjectName.Of(Pick<string>(TypeNames)) : Name(), Coin(4) ? Many(1, 2, () => (long)random.Next(-5, 40)) : []),
    };

    private Expr Leaf() => random.Next(10) switch
    {
        0 => new Expr.NumberLiteral(Number()),
        1 => new Expr.NumberLiteral("-" + Pick("1", "1.5", "9223372036854775808")),
        2 => new Expr.StringLiteral(Text()),
        3 => new Expr.BooleanLiteral(Coin()),
        4 => new Expr.NullLiteral(),
        5 => new Expr.Parameter(random.Next(1, 65536)),
        6 => new Expr.IntervalLiteral(Interval()),
        7 => new Expr.HexLiteral("1f"),
        _ => new Expr.Identifier(Many(1, 3, Ident)),
    };

    private IntervalValue Interval() => random.Next(4) switch
    {
        0 => new IntervalValue(Text()),
        1 => new IntervalValue(Text(), DateTimeField.Year, Pick(DateTimeField.Year, DateTimeField.Month, DateTimeField.Day, DateTimeField.Hour)),
        2 => new IntervalValue(Text(), DateTimeField.Day, Pick(DateTimeField.Hour, DateTimeField.Second)),
        _ => new IntervalValue(Text(), DateTimeField.Year, DateTimeField.Second, random.Next(7)),
    };

    public Expr Expr(int depth)
    {
        if (depth <= 0)
            return Leaf();
        Expr E() => Expr(depth - 1 - random.Next(2));
        Query Q() => Query(depth - 2);
        AstList<Expr> Es(int least) => Many(least, 3, E);
        return random.Next(36) switch
        {
            0 => new Expr.Not(E()),
            1 or 2 => new Expr.And(E(), E()),
            3 or 4 => new Expr.Or(E(), E()),
            5 => new Expr.Is(E(), Pick(IsTest.Null, IsTest.True, IsTest.False, IsTest.Unknown), Coin()),
            6 => new Expr.IsDistinctFrom(E(), E(), Coin()),
            7 => new Expr.InList(E(), Es(1) is var items and not [Ast.Expr.Subquery] ? items : [new Expr.NullLiteral()], Coin()),
            8 => new Expr.InSubquery(E(), Q(), Coin()),
            9 => new Expr.Like(E(), E(), Coin(3) ? E() : null, Coin(), Coin()),
            10 => new Expr.Between(E(), E(), E(), Coin(), Coin()),
            11 or 12 => Signed(E()),
            13 or 14 or 15 or 16 => new Expr.Binary(Op(), E(), E()),
            17 => new Expr.Cast(E(), Type(2)),
            18 => new Expr.Collate(E(), Name()),
            19 or 20 => Function(depth),
            21 => new Expr.Homogenizing(Pick(HomogenizingFunction.Coalesce, HomogenizingFunction.Greatest, HomogenizingFunction.Least), Es(1)),
            22 => new Expr.NullIf(E(), E()),
            23 => new Expr.Case(Coin() ? E() : null, Many(1, 2, () => new CaseArm(E(), E())), Coin() ? E() : null),
            24 => new Expr.Exists(Q()),
            25 => new Expr.Subquery(Q()),
            26 => new Expr.Quantified(E(), Op(), Pick(Quantifier.Any, Quantifier.All), E() is var right and not Ast.Expr.Subquery ? right : new Expr.NullLiteral()),
            27 => new Expr.QuantifiedSubquery(E(), Op(), Pick(Quantifier.Any, Quantifier.All), Q()),
            28 => Coin() ? new Expr.Array(Es(0)) : new Expr.List(Es(0)),
            29 => Pick<Func<Expr>>(() => new Expr.ArraySubquery(Q()), () => new Expr.ListSubquery(Q()), () => new Expr.MapSubquery(Q()))(),
            30 => new Expr.Map(Many(0, 2, () => new MapEntry(E(), E()))),
            31 => new Expr.Row(Es(0)),
            32 => new Expr.Subscript(E(), Many(1, 2, () => Coin() ? new SubscriptPosition(E(), null, false)
                : new SubscriptPosition(Coin() ? E() : null, Coin() ? E() : null, true))),
            33 => Coin() ? new Expr.FieldAccess(E(), Ident()) : new Expr.WildcardAccess(E()),
            34 => new Expr.QualifiedWildcard(Many(1, 2, Ident)),
            _ => Leaf(),
        };
    }

    /// <summary>A sign before a positive number is the number's own.</summary>
    private Expr.Unary Signed(Expr input) => new(Pick(Operator.Bare("-"), Operator.Bare("+"), Operator.Bare("~"), Operator.Bare("@"), new Operator("-", [new Ident("s")])), input);

    private Expr.Function Function(int depth) => new(
        Name(), Args(depth), false, Coin(5) ? Expr(depth - 1) : null,
        Coin(4) ? Window(depth) : null)
    { Distinct = false };

    private FunctionArgs Args(int depth) => Coin(8)
        ? new FunctionArgs.Star()
        : Many(0, 3, () => Expr(depth - 1)) is var args && args.Count > 0 && Coin(4) ? new FunctionArgs.List(args, Many(1, 2, () => Order(depth - 1))) : new FunctionArgs.List(args, []);

    private WindowSpec Window(int depth)
    {
        var nulls = random.Next(4);
        return new WindowSpec(
            Many(0, 2, () => Expr(depth - 1)), Many(0, 2, () => Order(depth - 1)),
            Coin() ? new WindowFrame(Pick(WindowFrameUnits.Rows, WindowFrameUnits.Range, WindowFrameUnits.Groups), Bound(), Coin() ? Bound() : null) : null,
            nulls == 0, nulls == 1);
    }

    private WindowFrameBound Bound() => random.Next(3) switch
    {
        0 => new WindowFrameBound.CurrentRow(),
        1 => new WindowFrameBound.Preceding(Coin() ? null : (ulong)random.Next(9)),
        _ => new WindowFrameBound.Following(Coin() ? null : (ulong)random.Next(9)),
    };

    private OrderByExpr Order(int depth) => new(Expr(depth), Pick<bool?>(null, true, false), Pick<bool?>(null, true, false));

    public Query Query(int depth)
    {
        WithClause? with = null;
        if (depth > 0 && Coin(5))
            with = Coin()
                ? new WithClause.Simple(Many(1, 2, () => new Cte(Ident(), Many(0, 2, Ident), Query(depth - 1))))
                : new WithClause.MutuallyRecursive(
                    Coin() ? [new SqlOption("RECURSION LIMIT", new OptionValue.Literal(new Expr.NumberLiteral("5")))] : [],
                    Many(1, 2, () => new RecursiveCte(Ident(), Many(1, 2, () => new TypedColumn(Ident(), Type(1))), Query(depth - 1))));
        var body = Body(depth, 0);
        var orderBy = Many(0, 1, () => Order(depth - 1));
        var limit = Coin(4) ? new Limit(Expr(depth - 1), Coin()) : null;
        var offset = Coin(5) ? Expr(depth - 1) : null;
        return with is null && orderBy.Count == 0 && limit is null && offset is null && body is SetExpr.Nested nested
            ? nested.Query
            : new Query(with, body, orderBy, limit, offset);
    }

    /// <summary>A body that may stand where operators binding more loosely than <paramref name="least"/> need parentheses.</summary>
    private SetExpr Body(int depth, int least)
    {
        var kind = depth <= 0 ? random.Next(2) : random.Next(8);
        if (kind is 2 or 3)
        {
            var op = Pick(SetOperator.Union, SetOperator.Except, SetOperator.Intersect);
            var precedence = op == SetOperator.Intersect ? 2 : 1;
            if (precedence >= least)
                return new SetExpr.SetOperation(op, Coin(), Body(depth - 1, precedence), Body(depth - 1, precedence + 1));
        }
        return kind switch
        {
            0 => new SetExpr.Values(Many(1, 2, () => Many(1, 2, () => Expr(depth - 1)))),
            1 when Coin(3) => new SetExpr.Table(Name()),
            4 => new SetExpr.Nested(Query(depth - 1)),
            _ => Select(depth),
        };
    }

    private SetExpr Select(int depth) => new SetExpr.Select(
        Coin(5) ? new Distinct.EntireRow() : Coin(6) ? new Distinct.On(Many(1, 2, () => Expr(depth - 1))) : null,
        Many(0, 3, () => Coin(6) ? (SelectItem)new SelectItem.Wildcard() : new SelectItem.Expression(Expr(depth - 1), Coin() ? Ident() : null)),
        Many(0, 2, () => From(depth - 1)),
        Coin(3) ? Expr(depth - 1) : null, Many(0, 1, () => Expr(depth - 1)), Coin(4) ? Expr(depth - 1) : null, Coin(6) ? Expr(depth - 1) : null,
        Coin(8) ? [new SqlOption("LIMIT INPUT GROUP SIZE", new OptionValue.Literal(new Expr.NumberLiteral("5")))] : []);

    private TableWithJoins From(int depth) => new(Factor(depth), Many(0, depth <= 0 ? 0 : 2, () =>
    {
        var kind = Pick(JoinKind.Inner, JoinKind.Left, JoinKind.Right, JoinKind.Full, JoinKind.Cross);
        JoinConstraint? constraint = kind == JoinKind.Cross ? null : random.Next(3) switch
        {
            0 => new JoinConstraint.Natural(),
            1 => new JoinConstraint.Using(Many(1, 2, Ident), Coin() ? Ident() : null),
            _ => new JoinConstraint.On(Expr(depth - 1)),
        };
        return new Join(kind, Factor(depth - 1), constraint);
    }));

    private TableFactor Factor(int depth) => (depth <= 0 ? random.Next(2) : random.Next(7)) switch
    {
        1 => new TableFactor.Function(Call(depth), Alias(), Coin()),
        2 => new TableFactor.RowsFrom(Many(1, 2, () => Call(depth)), Alias(), Coin()),
        3 => new TableFactor.Derived(Coin(), Query(depth - 1), Alias()),
        4 => new TableFactor.NestedJoin(From(depth - 1) is var join && Shows(join) ? join : new TableWithJoins(new TableFactor.Table(Name(), null), []), Alias()),
        _ => new TableFactor.Table(Name(), Alias()),
    };

    /// <summary>False when parentheses around it would be those of the query in it.</summary>
    private static bool Shows(TableWithJoins join) => join.Joins.Count > 0 || join.Relation is not TableFactor.Derived { Lateral: false, Alias: null };

    private TableFunction Call(int depth) => new(Name(), Coin(9) ? new FunctionArgs.Star() : new FunctionArgs.List(Many(0, 2, () => Expr(depth - 1)), []));

    private TableAlias? Alias() => Coin() ? new TableAlias(Ident(), Many(0, 2, Ident)) : null;

    public Statement Statement(int depth) => random.Next(9) switch
    {
        0 => new Statement.Insert(Name(), Many(0, 2, Ident), Coin(5) ? null : Query(depth), Many(0, 2, () => (SelectItem)new SelectItem.Expression(Expr(2), null))),
        1 => new Statement.Update(Name(), Alias(), Many(1, 2, () => new Assignment(Ident(), Expr(depth))), Coin() ? Expr(depth) : null),
        2 => new Statement.Delete(Name(), Alias(), Many(0, 2, () => From(depth)), Coin() ? Expr(depth) : null),
        3 => new Statement.CreateView(Name(), Many(0, 2, Ident), Query(depth), false, Coin(), Coin()),
        4 => new Statement.CreateTable(
            Name(), Many(0, 3, () => new ColumnDef(Ident(), Type(2), Coin(5) ? Name() : null, Coin() ? [new ColumnOption.Default(Expr(depth)), new ColumnOption.NotNull()] : [])),
            [], Coin(), Coin(), []),
        5 => new Statement.CreateIndex(Coin() ? Ident() : null, Coin() ? new ClusterName(Ident(), null) : null, Name(), Many(0, 2, () => Expr(depth)), false, []),
        6 => new Statement.Subscribe(
            Coin() ? new SubscribeRelation.Name(Name()) : new SubscribeRelation.Query(Query(depth)), [],
            Coin() ? new AsOf(Expr(depth), Coin()) : null, Coin() ? Expr(depth) : null, new SubscribeOutput.Diffs()),
        7 => new Statement.SetVariable(Coin(), Ident(), new SetValue.Values(Many(1, 2, () => (Expr)new Expr.Identifier([Ident()])))),
        _ => new Statement.Select(Query(depth), Coin(4) ? new AsOf(Expr(depth), Coin()) : null),
    };
}
