using Materialize.Repr;
using Xunit;

namespace Materialize.Expr.Tests;

public class FunctionTableTests
{
    [Fact]
    public void Every_signature_reads_and_has_an_oid_of_its_own()
    {
        Assert.True(FunctionTable.All.Count > 300);
        Assert.Equal(FunctionTable.All.Count, FunctionTable.All.Select(f => f.Oid).Distinct().Count());
        Assert.Equal(SqlType.Int32, FunctionTable.Functions("generate_series")[0].Return([SqlType.Int32, SqlType.Int32, SqlType.Int32]));
        Assert.Equal(SqlType.ArrayOf(SqlType.Int32), FunctionTable.Functions("array_cat")[0].Return([SqlType.ArrayOf(SqlType.Int32), SqlType.ArrayOf(SqlType.Int32)]));
        Assert.Contains(FunctionTable.Operators("="), s => s.Target is FunctionTarget.Scalar { Func: var f } && f == ScalarFunctions.Eq);
        Assert.Contains(FunctionTable.Operators("->"), s => s.Params.Count == 2);
    }

    [Fact]
    public void Casts_follow_the_matrix()
    {
        Assert.Equal(CastContext.Implicit, Casts.Find(SqlType.Int32, SqlType.Int64)!.Context);
        Assert.Equal(CastContext.Assignment, Casts.Find(SqlType.Int64, SqlType.Int32)!.Context);
        Assert.Equal("cast_text_to_numeric", Casts.Find(SqlType.String, SqlType.NumericOf(2))!.Func!.Id);
        Assert.Equal("cast_numeric_to_numeric", Casts.Find(SqlType.Numeric, SqlType.NumericOf(2))!.Func!.Id);
        Assert.Equal("truncate_varchar", Casts.Find(SqlType.String, SqlType.VarCharOf(3))!.ExplicitFunc!.Id);
        Assert.Null(Casts.Find(SqlType.Oid, SqlType.RegClass)!.Func);
        Assert.Null(Casts.Find(SqlType.Uuid, SqlType.Int32));
        Assert.Equal("cast_array_to_array", Casts.Find(SqlType.ArrayOf(SqlType.Int32), SqlType.ArrayOf(SqlType.Int64))!.Func!.Id);
    }
}

public class ImplementationTests
{
    [Fact]
    public void Every_function_has_an_implementation()
    {
        var special = new HashSet<string> { "and", "or", "coalesce" };
        var missing = ScalarFunctions.All.Where(f => !special.Contains(f.Id) && f.Implementation is null).Select(f => f.Id).Order();
        Assert.Equal([], missing);
    }
}
