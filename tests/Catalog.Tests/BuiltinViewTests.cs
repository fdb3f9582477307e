using Materialize.Catalog;

namespace Materialize.Catalog.Tests;

public sealed class BuiltinViewTests
{
    [Fact]
    public async Task Every_view_plans() => Assert.NotEmpty((await new Catalogs().OpenAsync()).State.Items);
}
