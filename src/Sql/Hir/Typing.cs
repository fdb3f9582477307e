using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>Makes calls with the nullability that <see cref="ScalarTyping"/> will give them in MIR.</summary>
internal static class Typing
{
    public static HirScalarExpr Call(ScalarFunc func, SqlType output, params ReadOnlySpan<HirScalarExpr> args)
    {
        // One rule for both forms: ask the MIR typing about a call over columns of these types.
        var types = new ColumnType[args.Length];
        var columns = new MirScalarExpr[args.Length];
        for (var i = 0; i < args.Length; i++)
        {
            types[i] = args[i].Type;
            columns[i] = new MirScalarExpr.Column(i);
        }

        var type = new MirScalarExpr.Call(func, columns.ToValueArray(), output).TypeOf(types.ToValueArray());
        return new HirScalarExpr.Call(func, ValueArray.Create(args), type);
    }

    public static HirScalarExpr Bool(ScalarFunc func, params ReadOnlySpan<HirScalarExpr> args) => Call(func, SqlType.Bool, args);

    public static HirScalarExpr Not(HirScalarExpr e) => Bool(ScalarFunctions.Not, e);

    public static HirScalarExpr IsNull(HirScalarExpr e) => Bool(ScalarFunctions.IsNull, e);

    public static HirScalarExpr And(IReadOnlyList<HirScalarExpr> all) => all.Count switch
    {
        0 => HirScalarExpr.True,
        1 => all[0],
        _ => Bool(ScalarFunctions.And, [.. all]),
    };

    public static HirScalarExpr Literal(string value) => new HirScalarExpr.Literal(Datum.FromString(value), SqlType.String.Nullable(false));

    public static HirScalarExpr Literal(int value) => new HirScalarExpr.Literal(Datum.FromInt64(value), SqlType.Int32.Nullable(false));

    public static HirScalarExpr Literal(long value) => new HirScalarExpr.Literal(Datum.FromInt64(value), SqlType.Int64.Nullable(false));
}
