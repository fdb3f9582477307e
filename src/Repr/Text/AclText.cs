namespace Materialize.Repr;

/// <summary>
/// Access control entries, kept as their canonical text <c>grantee=privileges/grantor</c>: privileges are letters in the order
/// <see cref="Letters"/>; the public role is the empty grantee.
/// </summary>
public static class AclText
{
    /// <summary>insert, select, update, delete, usage, create, create role, create db, create cluster, create network policy.</summary>
    public const string Letters = "arwdUCRBNP";

    /// <summary>The parts of an entry in its canonical form.</summary>
    public static (string Grantee, string Privileges, string Grantor) Split(string item)
    {
        var equals = item.IndexOf('=', StringComparison.Ordinal);
        var slash = item.LastIndexOf('/');
        return (item[..equals], item[(equals + 1)..slash], item[(slash + 1)..]);
    }

    /// <summary>Joins parts; the letters may be in any order and repeated.</summary>
    public static string Join(string grantee, string privileges, string grantor) =>
        $"{grantee}={new string([.. Letters.Where(privileges.Contains)])}/{grantor}";

    /// <exception cref="TextFormatException">Not of the form <c>grantee=letters/grantor</c>.</exception>
    public static string Canonical(string text, string type)
    {
        var equals = text.IndexOf('=', StringComparison.Ordinal);
        var slash = text.LastIndexOf('/');
        if (equals < 0 || slash < equals || slash == text.Length - 1)
            throw TextFormatException.Invalid(type, text);
        var (grantee, privileges, grantor) = Split(text);
        if (!privileges.All(Letters.Contains))
            throw TextFormatException.Invalid(type, text);
        return Join(grantee, privileges, grantor);
    }
}
