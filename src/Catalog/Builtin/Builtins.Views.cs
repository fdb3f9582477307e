namespace Materialize.Catalog;

public static partial class Builtins
{
    /// <summary>Every built-in view, each after those it names.</summary>
    public static IReadOnlyList<Builtin.View> Views { get; } = [];
}
