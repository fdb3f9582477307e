using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>An expression whose type its surroundings may still decide: literals in quotes, NULL, parameters, and rows of such.</summary>
internal abstract record Coercible
{
    private Coercible()
    {
    }

    /// <summary>The type, if it is decided.</summary>
    public virtual SqlType? KnownType => null;

    public sealed record Typed(HirScalarExpr Expr) : Coercible
    {
        public override SqlType? KnownType => Expr.Type.Type;
    }

    public sealed record StringLiteral(string Value) : Coercible;

    public sealed record NullLiteral : Coercible;

    public sealed record Parameter(int Number) : Coercible;

    public sealed record Row(ValueArray<Coercible> Fields) : Coercible
    {
        public override SqlType? KnownType =>
            Fields.All(f => f.KnownType is not null)
                ? new SqlType(ScalarKind.Record) { Fields = Fields.Select((f, i) => new RecordField($"f{i + 1}", f.KnownType!.Nullable())).ToValueArray() }
                : null;
    }

    public static implicit operator Coercible(HirScalarExpr expr) => new Typed(expr);
}
