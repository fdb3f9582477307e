using Materialize.Repr;

namespace Materialize.Sql;

/// <summary>From types as written to types.</summary>
internal static class TypeResolution
{
    public static SqlType Resolve(StatementContext context, Ast.DataType type) => type switch
    {
        Ast.DataType.Array x => ArrayOf(Resolve(context, x.Element), type),
        Ast.DataType.List x => SqlType.ListOf(Embeddable(Resolve(context, x.Element), "list", type)),
        Ast.DataType.Map x => MapOf(context, x),
        Ast.DataType.Named x => Named(context, x),
        _ => throw new System.Diagnostics.UnreachableException(),
    };

    private static SqlType ArrayOf(SqlType element, Ast.DataType type) => element.Kind switch
    {
        ScalarKind.Array => element,
        ScalarKind.List or ScalarKind.Map => throw SqlException.Unsupported($"{element.ToSql()}[]", type.Position()),
        ScalarKind.Char => throw SqlException.Unsupported("char[]", type.Position()),
        _ => SqlType.ArrayOf(element),
    };

    private static SqlType Embeddable(SqlType element, string container, Ast.DataType type) =>
        element.Kind == ScalarKind.Char ? throw SqlException.Unsupported($"char {container}", type.Position()) : element;

    private static SqlType MapOf(StatementContext context, Ast.DataType.Map type)
    {
        var key = Resolve(context, type.Key);
        if (key.Kind != ScalarKind.String)
            throw SqlException.Plan("map keys must be of type text", type.Position());
        return SqlType.MapOf(Embeddable(Resolve(context, type.Value), "map", type));
    }

    private static SqlType Named(StatementContext context, Ast.DataType.Named type)
    {
        var found = Find(context, type);
        var modifiers = type.Modifiers;
        if (modifiers.Count == 0)
            return found;
        if (found.CustomId is not null)
            throw NoModifiers(type);
        switch (found.Kind)
        {
            case ScalarKind.Numeric:
                if (modifiers.Count > 2)
                    throw SqlException.Plan("numeric type supports a maximum of 2 type modifiers", type.Position());
                var precision = modifiers[0];
                if (precision is < 1 or > Numeric.MaxDigits)
                    throw SqlException.Plan($"precision for type numeric must be between 1 and {Numeric.MaxDigits}", type.Position());
                var scale = modifiers.Count == 2 ? modifiers[1] : 0;
                if (scale < 0 || scale > precision)
                    throw SqlException.Plan($"scale for type numeric must be between 0 and precision {precision}", type.Position());
                return SqlType.NumericOf((int)scale);
            case ScalarKind.Char or ScalarKind.VarChar:
                var name = found.Kind == ScalarKind.Char ? "character" : "character varying";
                if (modifiers.Count > 1)
                    throw SqlException.Plan($"{name} type supports a maximum of 1 type modifiers", type.Position());
                if (modifiers[0] is < 1 or > 10_485_760)
                    throw SqlException.Plan($"length for type {name} must be within 1-10485760", type.Position());
                return found with { Modifier = (int)modifiers[0] };
            case ScalarKind.Timestamp or ScalarKind.TimestampTz or ScalarKind.Time:
                if (modifiers.Count > 1)
                    throw SqlException.Plan($"{found.ToSql()} type supports a maximum of 1 type modifiers", type.Position());
                if (modifiers[0] is < 0 or > 6)
                    throw SqlException.Plan($"precision for type {found.ToSql()} must be within 0-6", type.Position());
                return found with { Modifier = (int)modifiers[0] };
            default:
                throw NoModifiers(type);
        }
    }

    private static SqlException NoModifiers(Ast.DataType.Named type) =>
        SqlException.Plan($"{type.Name} does not support type modifiers", type.Position());

    private static SqlType Find(StatementContext context, Ast.DataType.Named type)
    {
        if (type.Name.Id is { } id && GlobalId.TryParse(id, out var globalId) && globalId.IsUser && context.Catalog.GetItem(globalId) is { } byId)
            return FromCatalog(context, type, context.Catalog.ResolveType(new PartialName(byId.Name.Database, byId.Name.Schema, byId.Name.Item)));
        var name = StatementContext.Partial(type.Name);
        if (name.Database is null && name.Schema is null or "pg_catalog" or "mz_catalog" && BuiltIn(name) is { } builtIn)
        {
            var known = PgType.Of(builtIn);
            context.ResolvedNames[type.Name] = new FullName(null, known.Schema, builtIn.Kind == ScalarKind.Array ? "_" + known.Name : known.Name);
            return builtIn;
        }

        return FromCatalog(context, type, context.Catalog.ResolveType(name));
    }

    private static SqlType? BuiltIn(PartialName name)
    {
        var item = name.Item switch
        {
            "json" => "jsonb",
            "string" => "text",
            "int" or "integer" => "int4",
            "bytes" => "bytea",
            _ => name.Item,
        };
        return PgType.ByName(item) is { } type && (name.Schema is null || PgType.Of(type).Schema == name.Schema) ? type : null;
    }

    private static SqlType FromCatalog(StatementContext context, Ast.DataType.Named type, CatalogType? found)
    {
        if (found is null)
            throw SqlException.Plan($"type \"{type.Name}\" does not exist", type.Position());
        if (found.Id.IsUser)
            context.DependOn(found.Id);
        context.ResolvedNames[type.Name] = found.Name;
        return found.Type;
    }
}
