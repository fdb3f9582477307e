using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>
/// Equations for a MIR join, which never matches null, that match null with null: both are null or neither, and with null replaced by
/// some fixed value they are equal. Types without a handy value are wrapped in a record, which is not null though its field is.
/// </summary>
internal static class NullSafe
{
    public static IEnumerable<ValueArray<MirScalarExpr>> Equality(MirScalarExpr a, MirScalarExpr b, SqlType type)
    {
        if (Stand(type) is not { } stand)
            return [[Wrap(a, type), Wrap(b, type)]];
        return
        [
            [IsNull(a), IsNull(b)],
            [Coalesce(a, stand, type), Coalesce(b, stand, type)],
        ];
    }

    private static MirScalarExpr IsNull(MirScalarExpr e) => new MirScalarExpr.Call(ScalarFunctions.IsNull, [e], SqlType.Bool);

    private static MirScalarExpr Coalesce(MirScalarExpr e, Datum stand, SqlType type) =>
        new MirScalarExpr.Call(ScalarFunctions.Coalesce, [e, new MirScalarExpr.Literal(stand, type.Nullable(false))], type);

    private static MirScalarExpr Wrap(MirScalarExpr e, SqlType type) =>
        new MirScalarExpr.Call(ScalarFunctions.RecordCreate, [e], SqlType.RecordOf(new RecordField("f1", type.Nullable())));

    private static Datum? Stand(SqlType type) => type.Kind switch
    {
        ScalarKind.Bool => Datum.False,
        ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Int64 or ScalarKind.Oid or ScalarKind.RegClass or ScalarKind.RegProc
            or ScalarKind.RegType or ScalarKind.Date or ScalarKind.Time or ScalarKind.Timestamp or ScalarKind.TimestampTz
            or ScalarKind.UInt16 or ScalarKind.UInt32 => Datum.FromInt64(0),
        ScalarKind.UInt64 or ScalarKind.MzTimestamp => Datum.FromUInt64(0),
        ScalarKind.Float32 or ScalarKind.Float64 => Datum.FromDouble(0),
        ScalarKind.Interval => Datum.FromInterval(default),
        ScalarKind.Uuid => Datum.FromUuid(default),
        ScalarKind.String or ScalarKind.VarChar or ScalarKind.Char or ScalarKind.PgLegacyName => Datum.FromString(""),
        ScalarKind.Bytes => Datum.FromBytes([]),
        _ => null,
    };
}
