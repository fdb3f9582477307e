using Materialize.Expr.Functions;
using Materialize.Repr;

namespace Materialize.Expr;

/// <summary>Which type may become which other, where, and by what function.</summary>
public static class Casts
{
    /// <summary>
    /// The cast from <paramref name="from"/> to <paramref name="to"/>, modifiers included, or null if there is none. Equal
    /// types cast implicitly, without a function. The function's call takes the one argument and has
    /// <paramref name="to"/> as its output type, which is where it finds scale, length and element types. In an explicit cast
    /// use <see cref="CastSignature.ExplicitFunc"/> where there is one.
    /// </summary>
    public static CastSignature? Find(SqlType from, SqlType to)
    {
        if (from == to)
            return new CastSignature(CastContext.Implicit, null);
        if (from.BaseEquals(to) && from.Kind is not (ScalarKind.Array or ScalarKind.List or ScalarKind.Map or ScalarKind.Record))
            return Constrain(from, to);
        return (from.Kind, to.Kind) switch
        {
            (ScalarKind.Array, ScalarKind.Array) or (ScalarKind.List, ScalarKind.List) or (ScalarKind.Map, ScalarKind.Map) => Elementwise(from, to),
            (ScalarKind.Array, ScalarKind.List) when Find(from.Element!, to.Element!) is not null => Explicit("cast_array_to_list"),
            (ScalarKind.Record, ScalarKind.Record) => Fieldwise(from, to),
            (ScalarKind.Int2Vector, ScalarKind.Array) when to.Element!.Kind == ScalarKind.Int16 => Func(CastContext.Implicit, "cast_int2vector_to_array"),
            (ScalarKind.String, ScalarKind.Array or ScalarKind.List or ScalarKind.Map or ScalarKind.Range or ScalarKind.Record) =>
                Explicit($"cast_text_to_{CastTable.Name(to.Kind)}"),
            (ScalarKind.Array or ScalarKind.List or ScalarKind.Map or ScalarKind.Range or ScalarKind.Record, ScalarKind.String) =>
                Func(CastContext.Assignment, $"cast_{CastTable.Name(from.Kind)}_to_text"),
            _ => Scalar(from, to),
        };
    }

    private static CastSignature? Scalar(SqlType from, SqlType to)
    {
        if (CastTable.Find(from.Kind, to.Kind) is { } entry)
        {
            var func = entry.SameBits ? null : ScalarFunctions.ById(CastTable.Id(from.Kind, to.Kind));
            return WithTruncation(new CastSignature(entry.Context, func), to);
        }

        // Whatever has a text form has it in the other string types too.
        if (to.Kind is ScalarKind.VarChar or ScalarKind.Char && from.Kind is not ScalarKind.Int2Vector && Find(from, SqlType.String) is { } text)
            return WithTruncation(new CastSignature(text.Context, ScalarFunctions.ById(CastTable.Id(from.Kind, to.Kind))), to);
        if (from.Kind is ScalarKind.VarChar or ScalarKind.Char or ScalarKind.PgLegacyName && CastTable.Find(ScalarKind.String, to.Kind) is { Context: CastContext.Explicit })
            return Explicit(CastTable.Id(ScalarKind.String, to.Kind));
        return null;
    }

    /// <summary>From a type to the same with other modifiers.</summary>
    private static CastSignature Constrain(SqlType from, SqlType to)
    {
        if (to.Modifier is null && to.Kind != ScalarKind.Char)
            return new CastSignature(CastContext.Implicit, null);
        var widens = from.Modifier is { } narrow && narrow <= to.Modifier && to.Kind is ScalarKind.VarChar or ScalarKind.Timestamp or ScalarKind.TimestampTz;
        if (widens || CastTable.Find(from.Kind, to.Kind) is null)
            return new CastSignature(CastContext.Implicit, null);
        var context = to.Kind is ScalarKind.Numeric or ScalarKind.Timestamp or ScalarKind.TimestampTz or ScalarKind.Time ? CastContext.Assignment : CastContext.Implicit;
        return WithTruncation(new CastSignature(context, ScalarFunctions.ById(CastTable.Id(from.Kind, to.Kind))), to);
    }

    private static CastSignature WithTruncation(CastSignature cast, SqlType to) => to switch
    {
        { Kind: ScalarKind.VarChar, Modifier: not null } when cast.Func is not null => cast with { ExplicitFunc = ScalarFunctions.ById("truncate_varchar") },
        { Kind: ScalarKind.Char } when cast.Func is not null => cast with { ExplicitFunc = ScalarFunctions.ById("truncate_char") },
        _ => cast,
    };

    private static CastSignature? Elementwise(SqlType from, SqlType to)
    {
        if (from.CustomId is not null && to.CustomId is not null && from.CustomId != to.CustomId)
            return null;
        if (from.Element == to.Element)
            return new CastSignature(CastContext.Implicit, null);
        if (Find(from.Element!, to.Element!) is not { } element)
            return null;
        var context = from.Kind == ScalarKind.List && element.Context == CastContext.Implicit ? CastContext.Implicit
            : from.Kind == ScalarKind.Map ? (CastContext)Math.Max((int)element.Context, (int)CastContext.Assignment)
            : element.Context;
        return element.Func is null && element.ExplicitFunc is null
            ? new CastSignature(context, null)
            : Func(context, $"cast_{CastTable.Name(from.Kind)}_to_{CastTable.Name(to.Kind)}");
    }

    private static CastSignature? Fieldwise(SqlType from, SqlType to)
    {
        if (from.Fields.Count != to.Fields.Count)
            return null;
        var context = CastContext.Implicit;
        var runs = false;
        for (var i = 0; i < from.Fields.Count; i++)
        {
            if (Find(from.Fields[i].Type.Type, to.Fields[i].Type.Type) is not { } field)
                return null;
            if (field.Context > context)
                context = field.Context;
            runs |= field.Func is not null;
        }

        return runs ? Func(context, "cast_record_to_record") : new CastSignature(context, null);
    }

    private static CastSignature Explicit(string id) => Func(CastContext.Explicit, id);

    private static CastSignature Func(CastContext context, string id) => new(context, ScalarFunctions.ById(id));
}
