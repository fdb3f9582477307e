using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>Whether two literals are the same value. Erring towards "no" only costs a shared subexpression.</summary>
internal static class DatumIdentity
{
    public static bool AreSame(SqlType type, Datum a, Datum b)
    {
        if (a.IsNull || b.IsNull)
            return a.IsNull && b.IsNull;
        return type.Kind switch
        {
            ScalarKind.Bytes or ScalarKind.Jsonb => a.AsBytes.AsSpan().SequenceEqual(b.AsBytes),
            _ => a.Equals(b),
        };
    }
}
