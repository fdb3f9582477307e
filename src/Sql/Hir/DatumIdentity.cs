using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>Whether two values of a type are the same value: what GROUP BY means by equal.</summary>
internal static class DatumIdentity
{
    public static bool AreSame(SqlType type, Datum a, Datum b) =>
        a.IsNull || b.IsNull ? a.IsNull && b.IsNull : DatumOrder.Compare(type, a, b) == 0;
}
