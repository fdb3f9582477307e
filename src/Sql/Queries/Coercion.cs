// Types meeting types: casts, unification, and what untyped literals become.
using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>Casts and unification over <see cref="Coercible"/>s.</summary>
internal static class Coercion
{
    /// <summary>Returns its argument: gives bits another type.</summary>
    private static readonly ScalarFunc Identity = ScalarFunctions.ById("unary_plus");

    /// <summary>The expression as <paramref name="to"/>, or null if no such cast exists in this context.</summary>
    public static HirScalarExpr? TryCast(StatementContext context, CastContext where, HirScalarExpr expr, SqlType to)
    {
        var from = expr.Type.Type;
        if (from == to)
            return expr;
        if (to.Kind == ScalarKind.RegClass || to.Kind == ScalarKind.RegType || to.Kind == ScalarKind.RegProc)
        {
            if (from.Kind == ScalarKind.String && expr is HirScalarExpr.Literal { Value: { IsNull: false } text })
                return RegLiteral(context, text.AsString, to);
        }

        if (Casts.Find(from, to) is not { } cast || cast.Context > where)
            return null;
        var func = where == CastContext.Explicit ? cast.ExplicitFunc ?? cast.Func : cast.Func;
        if (func is null)
        {
            if (from.Kind == to.Kind && from.CustomId == to.CustomId && from.Kind is not (ScalarKind.List or ScalarKind.Map or ScalarKind.Record or ScalarKind.Array))
                return expr;
            func = Identity;
        }

        return expr is HirScalarExpr.Literal { Value.IsNull: true } ? HirScalarExpr.Null(to) : Typing.Call(func, to, expr);
    }

    /// <summary>The expression as <paramref name="to"/>; text goes to and from everything when the user says so.</summary>
    public static HirScalarExpr Cast(StatementContext context, string what, CastContext where, HirScalarExpr expr, SqlType to, int? position = null) =>
        TryCast(context, where, expr, to)
        ?? throw SqlException.Plan($"{what} does not support casting from {expr.Type.Type.ToSql()} to {to.ToSql()}", position);

    /// <summary>The expression as that type, as far as untyped things and implicit casts go.</summary>
    public static HirScalarExpr? TryCoerce(StatementContext context, CastContext where, Coercible expr, SqlType to)
    {
        switch (expr)
        {
            case Coercible.Typed x:
                return TryCast(context, where, x.Expr, to);
            case Coercible.NullLiteral:
                return HirScalarExpr.Null(to);
            case Coercible.Parameter x:
                var declared = context.UseParameter(x.Number);
                if (declared is not null)
                    return TryCast(context, where, new HirScalarExpr.Parameter(x.Number, declared), to);
                var plain = to.Kind is ScalarKind.Char or ScalarKind.VarChar ? to : to with { Modifier = null };
                context.DeclareParameter(x.Number, plain);
                return TryCast(context, CastContext.Assignment, new HirScalarExpr.Parameter(x.Number, plain), to);
            case Coercible.StringLiteral x:
                return StringAs(context, x.Value, to, where);
            case Coercible.Row x:
                if (to.Kind != ScalarKind.Record || to.Fields.Count != x.Fields.Count)
                    return to.Kind == ScalarKind.String ? TryCast(context, where, AsAny(context, x), to) : null;
                var fields = new HirScalarExpr[x.Fields.Count];
                for (var i = 0; i < fields.Length; i++)
                {
                    if (TryCoerce(context, where, x.Fields[i], to.Fields[i].Type.Type) is not { } field)
                        return null;
                    fields[i] = field;
                }

                return Typing.Call(ScalarFunctions.RecordCreate, to, fields);
            default:
                throw new System.Diagnostics.UnreachableException();
        }
    }

    /// <summary>As <see cref="TryCoerce"/>, with an error that names the place.</summary>
    public static HirScalarExpr Coerce(StatementContext context, string what, CastContext where, Coercible expr, SqlType to, int? position = null) =>
        TryCoerce(context, where, expr, to)
        ?? throw SqlException.Plan(
            where == CastContext.Explicit
                ? $"{what} does not support casting from {TypeName(context, expr)} to {to.ToSql()}"
                : $"{what} must have type {to.ToSql()}, not type {TypeName(context, expr)}",
            position);

    /// <summary>The expression with a type of its own choice: text for what has none.</summary>
    public static HirScalarExpr AsAny(StatementContext context, Coercible expr) => expr switch
    {
        Coercible.Typed x => x.Expr,
        Coercible.Row x => RowAsAny(context, x),
        Coercible.Parameter x when context.UseParameter(x.Number) is { } type => new HirScalarExpr.Parameter(x.Number, type),
        _ => TryCoerce(context, CastContext.Implicit, expr, SqlType.String)!,
    };

    public static SqlType? KnownType(StatementContext context, Coercible expr) =>
        expr is Coercible.Parameter x ? context.UseParameter(x.Number) : expr.KnownType;

    /// <summary>For messages: <c>unknown</c> if undecided.</summary>
    public static string TypeName(StatementContext context, Coercible expr) =>
        KnownType(context, expr) is { } type ? MessageName(type) : expr is Coercible.Row ? "record" : "unknown";

    /// <summary>A type without modifiers, as errors name it.</summary>
    public static string MessageName(SqlType type) => (type.Kind is ScalarKind.Record ? type : type with { Modifier = null }).ToSql();

    /// <summary>Expressions as one type, by the rules of CASE and UNION.</summary>
    /// <param name="what">For the error: <c>CASE</c>.</param>
    /// <param name="force">The type it must be, if that is known.</param>
    public static HirScalarExpr[] Unify(StatementContext context, string what, IReadOnlyList<Coercible> exprs, SqlType? force = null, int? position = null)
    {
        var target = force ?? BestTarget(context, exprs);
        var result = new HirScalarExpr[exprs.Count];
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = TryCoerce(context, CastContext.Implicit, exprs[i], target)
                ?? throw SqlException.Plan($"{what} could not convert type {TypeName(context, exprs[i])} to {target.ToSql()}", position);
        }

        return result;
    }

    /// <summary>The type the expressions unify to: the others' if some are untyped, the preferred one of the first one's category.</summary>
    public static SqlType BestTarget(StatementContext context, IReadOnlyList<Coercible> exprs)
    {
        SqlType? best = null;
        foreach (var expr in exprs)
        {
            if (KnownType(context, expr) is { } type)
                best = best is null ? type : Wider(best, type);
        }

        if (best is null && exprs.OfType<Coercible.Row>().FirstOrDefault() is { } row)
            return RowAsAny(context, row).Type.Type;
        return best ?? SqlType.String;
    }

    private static SqlType Wider(SqlType a, SqlType b)
    {
        if (a == b)
            return a;
        if (a.BaseEquals(b))
            return CommonModifiers(a, b);

        if (CommonInteger(a, b) is { } integer)
            return integer;

        // The type that the other one becomes by itself; if both do, the preferred one.
        var toB = Casts.Find(a, b) is { Context: CastContext.Implicit };
        var toA = Casts.Find(b, a) is { Context: CastContext.Implicit };
        if (PgType.Of(a).Category != PgType.Of(b).Category)
            return a;
        return toB && (!toA || IsPreferred(b)) && !IsPreferred(a) ? b : a;
    }

    /// <summary>For a signed and an unsigned integer: the narrowest signed type that holds the unsigned one's values.</summary>
    public static SqlType? CommonInteger(SqlType a, SqlType b)
    {
        var signed = Signed(a) ?? Signed(b);
        var unsigned = Unsigned(a) ?? Unsigned(b);
        if (signed is null || unsigned is null)
            return null;
        return Math.Max(signed.Value, unsigned.Value * 2) switch { <= 4 => SqlType.Int32, 8 => SqlType.Int64, _ => SqlType.Numeric };

        static int? Signed(SqlType type) => type.Kind switch { ScalarKind.Int16 => 2, ScalarKind.Int32 => 4, ScalarKind.Int64 => 8, _ => null };
        static int? Unsigned(SqlType type) => type.Kind switch { ScalarKind.UInt16 => 2, ScalarKind.UInt32 => 4, ScalarKind.UInt64 => 8, _ => null };
    }

    private static SqlType CommonModifiers(SqlType a, SqlType b) => a.Kind switch
    {
        ScalarKind.Numeric when a.Modifier is { } x && b.Modifier is { } y => SqlType.NumericOf(Math.Max(x, y)),
        ScalarKind.Char or ScalarKind.Record => a,
        ScalarKind.Array => SqlType.ArrayOf(Wider(a.Element!, b.Element!)),
        ScalarKind.List when a.CustomId is null => SqlType.ListOf(Wider(a.Element!, b.Element!)),
        ScalarKind.Map when a.CustomId is null => SqlType.MapOf(Wider(a.Element!, b.Element!)),
        _ => a with { Modifier = null },
    };

    public static bool IsPreferred(SqlType type) => type.Kind is ScalarKind.Bool or ScalarKind.Float64 or ScalarKind.String or ScalarKind.TimestampTz
        or ScalarKind.Interval or ScalarKind.Oid;

    private static HirScalarExpr RowAsAny(StatementContext context, Coercible.Row row)
    {
        var fields = row.Fields.Select(f => AsAny(context, f)).AsSpan().ToArray();
        var type = new SqlType(ScalarKind.Record)
        {
            Fields = fields.Select((f, i) => new RecordField($"f{i + 1}", f.Type)).ToValueArray(),
        };
        return Typing.Call(ScalarFunctions.RecordCreate, type, fields);
    }

    private static HirScalarExpr? StringAs(StatementContext context, string value, SqlType to, CastContext where)
    {
        if (to.Kind is ScalarKind.RegClass or ScalarKind.RegType or ScalarKind.RegProc)
            return RegLiteral(context, value, to);
        var text = new HirScalarExpr.Literal(Datum.FromString(value), SqlType.String.Nullable(false));
        if (to.Kind == ScalarKind.String)
            return text;
        if (to.Kind == ScalarKind.PgLegacyName)
            return new HirScalarExpr.Literal(DatumText.Parse(to, value), to.Nullable(false));
        if (to.Kind == ScalarKind.VarChar && to.Modifier is null)
            return new HirScalarExpr.Literal(Datum.FromString(value), to.Nullable(false));

        // Text into any type that has a text form; only the string types distinguish assignment from explicit casts.
        if (Casts.Find(SqlType.String, to) is not { } cast)
            return null;
        var func = where == CastContext.Explicit ? cast.ExplicitFunc ?? cast.Func : cast.Func;
        return func is null ? Typing.Call(Identity, to, text) : Constants.FoldLiteral(Typing.Call(func, to, text));
    }

    /// <summary>A name as the object's oid, looked up now.</summary>
    private static HirScalarExpr RegLiteral(StatementContext context, string value, SqlType to)
    {
        if (uint.TryParse(value, out var number))
            return Literal(number);
        var parts = NameParts(value);
        uint? oid;
        if (to.Kind == ScalarKind.RegClass)
        {
            var item = parts is null ? null : context.Catalog.ResolveItem(parts.Value);
            oid = item?.Oid;
            if (oid is null)
                throw SqlException.Plan($"relation \"{value}\" does not exist");
        }
        else if (to.Kind == ScalarKind.RegType)
        {
            var name = value.Trim();
            oid = PgType.All.FirstOrDefault(t => t.SqlName == name || t.Name == name)?.Oid
                ?? (PgType.ByName(name) is { } type ? PgType.OidOf(type) : (uint?)null)
                ?? (name.EndsWith("[]", StringComparison.Ordinal) && PgType.All.FirstOrDefault(t => t.SqlName == name[..^2] || t.Name == name[..^2]) is { } element ? element.ArrayOid : (uint?)null)
                ?? (parts is null ? null : context.Catalog.ResolveType(parts.Value)?.Oid)
                ?? (parts is { Database: null, Schema: null or "pg_catalog" } pseudo ? PseudoTypeOid(pseudo.Item) : null);
            if (oid is null)
                throw SqlException.Plan($"type \"{value}\" does not exist");
        }
        else
        {
            var overloads = parts is null ? [] : FunctionTable.Functions(parts.Value.Item);
            if (overloads.Count == 0)
                throw SqlException.Plan($"function \"{value}\" does not exist");
            if (overloads.Count > 1)
                throw SqlException.Plan($"more than one function named \"{value}\"");
            oid = overloads[0].Oid;
        }

        return Literal(oid.Value);

        HirScalarExpr Literal(uint oidValue) => new HirScalarExpr.Literal(Datum.FromInt64(oidValue), to.Nullable(false));
    }

    /// <summary>Postgres' types of what is not a value: no column has them, but clients compare signatures with them.</summary>
    private static uint? PseudoTypeOid(string name) => name switch
    {
        "unknown" => PgType.UnknownOid,
        "cstring" => 2275,
        "any" => 2276,
        "anyarray" => 2277,
        "void" => 2278,
        "trigger" => 2279,
        "internal" => 2281,
        "anyelement" => 2283,
        "event_trigger" => 3838,
        _ => null,
    };

    private static PartialName? NameParts(string text)
    {
        List<string> parts = [];
        var i = 0;
        while (i <= text.Length)
        {
            if (i < text.Length && text[i] == '"')
            {
                var end = i + 1;
                var part = new System.Text.StringBuilder();
                while (end < text.Length && (text[end] != '"' || (end + 1 < text.Length && text[end + 1] == '"')))
                {
                    if (text[end] == '"')
                        end++;
                    part.Append(text[end++]);
                }

                parts.Add(part.ToString());
                i = end + 1;
            }
            else
            {
                var end = text.IndexOf('.', i);
                if (end < 0)
                    end = text.Length;
                parts.Add(text[i..end].Trim().ToLowerInvariant());
                i = end;
            }

            if (i >= text.Length)
                break;
            if (text[i] != '.')
                return null;
            i++;
        }

        return parts switch
        {
            [var item] => new PartialName(null, null, item),
            [var schema, var item] => new PartialName(null, schema, item),
            [var database, var schema, var item] => new PartialName(database, schema, item),
            _ => null,
        };
    }
}
