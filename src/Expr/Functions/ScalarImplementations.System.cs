using System.Buffers;
using Materialize.Core.Collections;
using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    /// <summary>Privilege names by their letter in an access control entry.</summary>
    private static readonly (char Letter, string Name)[] Privileges =
    [
        ('a', "INSERT"), ('r', "SELECT"), ('w', "UPDATE"), ('d', "DELETE"), ('U', "USAGE"), ('C', "CREATE"),
        ('R', "CREATEROLE"), ('B', "CREATEDB"), ('N', "CREATECLUSTER"), ('P', "CREATENETWORKPOLICY"),
    ];

    private static void AddSystem(Dictionary<string, ScalarImplementation> table)
    {
        table["pg_cancel_backend"] = (_, _, _) => throw Fail("0A000", "pg_cancel_backend in this position not yet supported");
        table["pg_column_size"] = table["mz_row_size"] = (a, t, _) => Int(Size(t[0], a[0]));
        table["pg_encoding_to_char"] = (a, _, _) => Text(a[0].AsInt64 == 6 ? "UTF8" : "");
        table["pg_typeof"] = (_, t, _) => Text(t[0] with { Modifier = null } is var type ? type.ToSql() : "");
        table["mz_type_name"] = (a, _, _) => PgType.ByOid((uint)a[0].AsInt64) is { } type ? Text(type.CatalogName()) : Datum.Null;
        table["mz_builtin_type_name"] = (a, _, _) => a[0].IsNull ? Datum.Null : BuiltinTypeName((uint)a[0].AsInt64, a[1].IsNull ? -1 : (int)a[1].AsInt64);
        table["mz_render_typmod"] = (a, _, _) => Text(RenderTypmod((uint)a[0].AsInt64, (int)a[1].AsInt64));
        table["make_mz_aclitem"] = (a, _, _) => Text(AclText.Join(a[0].AsString, Letters(a[2].AsString), a[1].AsString));
        table["makeaclitem"] = (a, _, _) => a[3].AsBool
            ? throw Fail("0A000", "GRANT OPTION not yet supported")
            : Text(AclText.Join(a[0].AsInt64 == 0 ? "" : $"{a[0].AsInt64}", Letters(a[2].AsString), $"{a[1].AsInt64}"));
        table["mz_aclitem_grantor"] = (a, _, _) => Text(AclText.Split(a[0].AsString).Grantor);
        table["mz_aclitem_grantee"] = (a, _, _) => Text(AclText.Split(a[0].AsString).Grantee is { Length: > 0 } grantee ? grantee : "p");
        table["mz_aclitem_privileges"] = table["aclitem_privileges"] = (a, _, _) => Text(AclText.Split(a[0].AsString).Privileges);
        table["aclitem_grantor"] = (a, _, _) => Oid(AclText.Split(a[0].AsString).Grantor);
        table["aclitem_grantee"] = (a, _, _) => Oid(AclText.Split(a[0].AsString).Grantee);
        table["mz_acl_item_contains_privilege"] = (a, _, _) => Bool(Holds(a[0].AsString, Letters(a[1].AsString)));
        table["mz_privileges_granted"] = (a, _, _) =>
        {
            var role = a[1].AsString;
            var wanted = Letters(a[2].AsString);
            var granted = string.Concat(a[0].AsArray.Elements.Where(e => !e.IsNull).Select(e => AclText.Split(e.AsString))
                .Where(e => e.Grantee.Length == 0 || e.Grantee == role || e.Grantee == "p").Select(e => e.Privileges));
            return Bool(wanted.Any(granted.Contains));
        };
        table["mz_format_privileges"] = (a, _, _) => TextArray(a[0].AsString.Select(NameOf));
        table["mz_validate_privileges"] = (a, _, _) => Bool(Letters(a[0].AsString).Length > 0);
        table["mz_validate_role_privilege"] = (a, _, _) => a[0].AsString.ToUpperInvariant() is "MEMBER" or "USAGE"
            ? Datum.True
            : throw InvalidParameter($"unrecognized privilege type: \"{a[0].AsString}\"");
        table["mz_normalize_object_name"] = (a, _, _) => NormalizedName(a[0].AsString, 3);
        table["mz_normalize_schema_name"] = (a, _, _) => NormalizedName(a[0].AsString, 2);
    }

    /// <summary>Privilege letters of a comma-separated list of names.</summary>
    private static string Letters(string names) => string.Concat(names.Split(',').Select(n =>
    {
        var name = n.Trim().ToUpperInvariant();
        var found = Array.Find(Privileges, p => p.Name == name);
        return found.Name is null ? throw InvalidParameter($"unrecognized privilege type: \"{n.Trim()}\"") : found.Letter;
    }));

    private static string NameOf(char letter)
    {
        var found = Array.Find(Privileges, p => p.Letter == letter);
        return found.Name ?? throw InvalidParameter($"unrecognized privilege: {letter}");
    }

    private static bool Holds(string item, string anyOf) => anyOf.Any(AclText.Split(item).Privileges.Contains);

    private static Datum Oid(string role) => Int(uint.TryParse(role, out var oid) ? oid : 0);

    private static int Size(SqlType type, Datum value)
    {
        var output = new ArrayBufferWriter<byte>();
        ValueCodec.Write(type, value, output);
        return output.WrittenCount;
    }

    private static SqlType WithTypmod(SqlType type, int typmod)
    {
        if (typmod < 0)
            return type;
        return type.Kind switch
        {
            ScalarKind.Numeric => type with { Modifier = (typmod - 4) & 0xFFFF },
            ScalarKind.VarChar or ScalarKind.Char => type with { Modifier = typmod - 4 },
            ScalarKind.Timestamp or ScalarKind.TimestampTz => type with { Modifier = typmod },
            _ => type,
        };
    }

    // Of an anonymous list or map the oid says no more than that it is one.
    private static Datum BuiltinTypeName(uint oid, int typmod) => oid switch
    {
        PgType.ListOid => Text("list"),
        PgType.MapOid => Text("map"),
        _ => PgType.ByOid(oid) is { } type ? Text(WithTypmod(type, typmod).ToSql()) : Datum.Null,
    };

    private static string RenderTypmod(uint oid, int typmod) => PgType.ByOid(oid) is { } type && WithTypmod(type, typmod) is { Modifier: { } modifier }
        ? type.Kind == ScalarKind.Numeric ? $"({((typmod - 4) >> 16) & 0xFFFF},{modifier})" : $"({modifier})"
        : "";

    private static Datum NormalizedName(string text, int partsMax)
    {
        var parts = Identifiers.Parse(text, strict: true);
        if (parts.Count > partsMax)
            throw InvalidParameter($"improper qualified name (too many dotted names): {text}");
        return TextArray(parts);
    }
}
