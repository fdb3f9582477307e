using System.Collections.Frozen;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

/// <summary>What the functions compute, by id; the parts of this class fill the table.</summary>
internal static partial class ScalarImplementations
{
    private static readonly FrozenDictionary<string, ScalarImplementation> Table = Build();

    public static ScalarImplementation? Find(string id) => Table.GetValueOrDefault(id);

    private static FrozenDictionary<string, ScalarImplementation> Build()
    {
        var table = new Dictionary<string, ScalarImplementation>();
        return table.ToFrozenDictionary();
    }
}
