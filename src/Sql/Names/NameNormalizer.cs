// A stored definition must mean the same for ever, whoever reads it: names in it are full. Planning notes what each name in the tree was
// resolved to; here the tree is copied with these names. Nodes are closed records of init-only properties, so one walk over properties
// rewrites any statement; it runs once for each DDL statement.
using System.Collections;
using System.Collections.Concurrent;
using System.Reflection;
using Materialize.Sql.Parser;

namespace Materialize.Sql;

/// <summary>Copies a tree with every resolved name made full.</summary>
internal static class NameNormalizer
{
    private static readonly ConcurrentDictionary<Type, PropertyInfo[]> Properties = new();
    private static readonly ConcurrentDictionary<Type, MethodInfo> Clones = new();
    private static readonly ConcurrentDictionary<Type, Func<IReadOnlyList<object?>, object>> ListMakers = new();

    /// <summary>The statement as it is stored: names full and in quotes.</summary>
    public static string StoredSql(StatementContext context, Ast.Statement statement) =>
        AstPrinter.ToSql(Rewrite(statement, context.ResolvedNames), PrintMode.Stable);

    public static Ast.ObjectName ToAst(FullName name) =>
        new([.. new[] { name.Database, name.Schema, name.Item }.OfType<string>().Select(p => new Ast.Ident(p))]);

    /// <summary>The tree with the names of <paramref name="names"/> (by reference) replaced.</summary>
    public static T Rewrite<T>(T node, IReadOnlyDictionary<Ast.AstNode, FullName> names)
        where T : Ast.AstNode => (T)Visit(node, names)!;

    private static object? Visit(object? value, IReadOnlyDictionary<Ast.AstNode, FullName> names)
    {
        switch (value)
        {
            case Ast.ObjectName name when names.TryGetValue(name, out var full):
                return ToAst(full);
            case Ast.AstNode node:
                return VisitNode(node, names);
            case IEnumerable list when IsAstList(value.GetType()):
                return VisitList(value, list, names);
            default:
                return value;
        }
    }

    private static object VisitNode(Ast.AstNode node, IReadOnlyDictionary<Ast.AstNode, FullName> names)
    {
        var type = node.GetType();
        object? copy = null;
        foreach (var property in Properties.GetOrAdd(type, static t => [.. t.GetProperties().Where(p => p.CanWrite && Matters(p.PropertyType))]))
        {
            var before = property.GetValue(node);
            var after = Visit(before, names);
            if (ReferenceEquals(before, after))
                continue;
            copy ??= Clones.GetOrAdd(type, static t => t.GetMethod("<Clone>$")!).Invoke(node, null)!;
            property.SetValue(copy, after);
        }

        return copy ?? node;
    }

    private static object VisitList(object list, IEnumerable items, IReadOnlyDictionary<Ast.AstNode, FullName> names)
    {
        List<object?> result = [];
        var changed = false;
        foreach (var item in items)
        {
            var after = Visit(item, names);
            changed |= !ReferenceEquals(item, after) && after is not ValueType;
            result.Add(after);
        }

        return changed ? ListMakers.GetOrAdd(list.GetType().GetGenericArguments()[0], MakerOf)(result) : list;
    }

    private static Func<IReadOnlyList<object?>, object> MakerOf(Type element) =>
        typeof(NameNormalizer).GetMethod(nameof(Make), BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(element)
            .CreateDelegate<Func<IReadOnlyList<object?>, object>>();

    private static object Make<T>(IReadOnlyList<object?> items) => Ast.AstList.ToAstList(items.Cast<T>());

    private static bool Matters(Type type) => typeof(Ast.AstNode).IsAssignableFrom(type) || IsAstList(type);

    private static bool IsAstList(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(Ast.AstList<>);
}
