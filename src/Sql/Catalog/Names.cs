namespace Materialize.Sql;

/// <summary>An item's name as written: one to three parts.</summary>
public readonly record struct PartialName(string? Database, string? Schema, string Item)
{
    public override string ToString() =>
        string.Join('.', new[] { Database, Schema, Item }.OfType<string>());
}

/// <summary>An item's full name. System schemas and <c>mz_temp</c> have no database.</summary>
public readonly record struct FullName(string? Database, string Schema, string Item)
{
    public override string ToString() => Database is null ? $"{Schema}.{Item}" : $"{Database}.{Schema}.{Item}";
}
