using System.Globalization;
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Optimizer.Tests;

/// <summary>Reads scalar expressions, and lists of them, as plans print them.</summary>
public sealed class ScalarText(string text)
{
    private int _at;

    public string Rest() => text[_at..].Trim();

    public bool TryTake(string token)
    {
        while (_at < text.Length && text[_at] == ' ')
            _at++;
        if (string.CompareOrdinal(text, _at, token, 0, token.Length) != 0)
            return false;
        _at += token.Length;
        return true;
    }

    public void Expect(string token)
    {
        if (!TryTake(token))
            throw new FormatException($"expected {token} at: {text[_at..]}");
    }

    public ValueArray<MirScalarExpr> Parenthesised() => Enclosed("(", ")");

    public ValueArray<MirScalarExpr> Bracketed() => Enclosed("[", "]");

    public ValueArray<MirScalarExpr> Separated(string separator)
    {
        var items = new List<MirScalarExpr>();
        do
            items.Add(Scalar());
        while (TryTake(separator));
        return items.ToValueArray();
    }

    public ValueArray<ColumnType> Types()
    {
        var columns = new List<ColumnType>();
        Expect("(");
        while (!TryTake(")"))
        {
            var type = PlanText.Type(Word());
            columns.Add(type.Nullable(TryTake("?")));
            TryTake(",");
        }

        return columns.ToValueArray();
    }

    public ValueArray<ColumnOrder> Orders()
    {
        var orders = new List<ColumnOrder>();
        Expect("[");
        while (!TryTake("]"))
        {
            var column = ((MirScalarExpr.Column)Scalar()).Index;
            var descending = !TryTake("asc") && TryTake("desc");
            orders.Add(new ColumnOrder(column, descending, !TryTake("nulls_first") && TryTake("nulls_last")));
            TryTake(",");
        }

        return orders.ToValueArray();
    }

    public ValueArray<AggregateExpr> Aggregates()
    {
        var aggregates = new List<AggregateExpr>();
        Expect("[");
        while (!TryTake("]"))
        {
            var name = Word();
            Expect("(");
            var distinct = TryTake("distinct");
            MirScalarExpr arg = TryTake("*") ? MirScalarExpr.True : Scalar();
            Expect(")");
            var (func, output) = name switch
            {
                "count" => (AggregateFunc.Count, SqlType.Int64.Nullable(false)),
                "sum" => (AggregateFunc.SumInt32, SqlType.Int64.Nullable()),
                "min" => (AggregateFunc.Min, SqlType.Int32.Nullable()),
                "max" => (AggregateFunc.Max, SqlType.Int32.Nullable()),
                _ => throw new FormatException($"unknown aggregate {name}"),
            };
            aggregates.Add(new AggregateExpr(func, [arg], distinct, output, [], []));
            TryTake(",");
        }

        return aggregates.ToValueArray();
    }

    public MirScalarExpr Scalar()
    {
        if (TryTake("("))
        {
            var left = Scalar();
            if (TryTake(") IS NULL"))
                return ScalarExprs.IsNull(left);
            if (TryTake(") IS NOT NULL"))
                return ScalarExprs.IsNotNull(left);
            var op = Operator();
            var args = new List<MirScalarExpr> { left, Scalar() };
            while (TryTake(op))
                args.Add(Scalar());
            Expect(")");
            var (func, type) = Func(op);
            return new MirScalarExpr.Call(func, args.ToValueArray(), type);
        }

        if (TryTake("#"))
            return ScalarExprs.Column(int.Parse(Word(), CultureInfo.InvariantCulture));
        if (TryTake("\""))
        {
            var end = text.IndexOf('"', _at);
            var value = text[_at..end];
            _at = end + 1;
            return new MirScalarExpr.Literal(Datum.FromString(value), SqlType.String.Nullable(false));
        }

        var word = Word();
        switch (word)
        {
            case "true":
                return MirScalarExpr.True;
            case "false":
                return MirScalarExpr.False;
            case "null":
                return MirScalarExpr.Null(TryTake("::") ? PlanText.Type(Word()) : SqlType.Int32);
            case "mz_now":
                Expect("()");
                return new MirScalarExpr.CallUnmaterializable(UnmaterializableFunc.MzNow);
            case "case":
                Expect("when");
                var condition = Scalar();
                Expect("then");
                var then = Scalar();
                Expect("else");
                var otherwise = Scalar();
                Expect("end");
                return new MirScalarExpr.If(condition, then, otherwise);
            case "NOT":
                return ScalarExprs.Bool(ScalarFunctions.Not, Parenthesised()[0]);
        }

        if (long.TryParse(word, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number))
            return new MirScalarExpr.Literal(Datum.FromInt64(number), SqlType.Int32.Nullable(false));
        var called = Parenthesised();
        return new MirScalarExpr.Call(
            ScalarFunctions.ById(word),
            called,
            word is "is_true" or "is_false" ? SqlType.Bool : word.EndsWith("int8", StringComparison.Ordinal) ? SqlType.Int64 : SqlType.Int32);
    }

    private ValueArray<MirScalarExpr> Enclosed(string open, string close)
    {
        Expect(open);
        var items = new List<MirScalarExpr>();
        while (!TryTake(close))
        {
            var item = Scalar();
            items.Add(item);
            if (TryTake("..=#"))
                items.AddRange(Enumerable.Range(((MirScalarExpr.Column)item).Index + 1, int.Parse(Word(), CultureInfo.InvariantCulture) - ((MirScalarExpr.Column)item).Index).Select(ScalarExprs.Column));
            TryTake(",");
        }

        return items.ToValueArray();
    }

    private string Word()
    {
        TryTake("");
        var start = _at;
        while (_at < text.Length && (char.IsLetterOrDigit(text[_at]) || text[_at] == '_' || (_at == start && text[_at] == '-')))
            _at++;
        return text[start.._at];
    }

    private string Operator() =>
        new[] { "<=", ">=", "!=", "<>", "=", "<", ">", "+", "AND", "OR" }.FirstOrDefault(TryTake) ?? throw new FormatException($"no operator at: {text[_at..]}");

    private static (ScalarFunc Func, SqlType Type) Func(string op) => op switch
    {
        "=" => (ScalarFunctions.Eq, SqlType.Bool),
        "!=" or "<>" => (ScalarFunctions.NotEq, SqlType.Bool),
        "<" => (ScalarFunctions.Lt, SqlType.Bool),
        "<=" => (ScalarFunctions.Lte, SqlType.Bool),
        ">" => (ScalarFunctions.Gt, SqlType.Bool),
        ">=" => (ScalarFunctions.Gte, SqlType.Bool),
        "AND" => (ScalarFunctions.And, SqlType.Bool),
        "OR" => (ScalarFunctions.Or, SqlType.Bool),
        _ => (ScalarFunctions.ById("add_int4"), SqlType.Int32),
    };
}
