using System.Collections;
using System.Reflection;
using System.Text;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser.Tests;

/// <summary>A tree as text that shows its shape: <c>Case(field=…)</c>, fields that are null, false or empty left out.</summary>
internal static class TreeText
{
    public static string Of(object? value)
    {
        var sb = new StringBuilder();
        Write(sb, value);
        return sb.ToString();
    }

    private static void Write(StringBuilder sb, object? value)
    {
        switch (value)
        {
            case null: sb.Append("null"); return;
            case Ident ident: sb.Append(ident.Value); return;
            case ObjectName { Id: null } name: sb.AppendJoin('.', name.Parts.Select(p => p.Value)); return;
            case Operator { Schema.Count: 0 } op: sb.Append(op.Name); return;
            case string text: sb.Append('\'').Append(text).Append('\''); return;
            case IEnumerable list:
                sb.Append('[');
                var first = true;
                foreach (var item in list)
                {
                    if (!first)
                        sb.Append(", ");
                    first = false;
                    Write(sb, item);
                }
                sb.Append(']');
                return;
            case AstNode node:
                sb.Append(node.GetType().Name).Append('(');
                var written = false;
                foreach (var property in node.GetType().GetConstructors()[0].GetParameters())
                {
                    var field = node.GetType().GetProperty(property.Name!, BindingFlags.Public | BindingFlags.Instance)!.GetValue(node);
                    if (field is null || (field is false && property.ParameterType == typeof(bool)) || field is ICollection { Count: 0 } || (field is IEnumerable items and not string && !items.Cast<object>().Any()))
                        continue;
                    if (written)
                        sb.Append(", ");
                    written = true;
                    sb.Append(property.Name).Append('=');
                    Write(sb, field);
                }
                sb.Append(')');
                return;
            default: sb.Append(value); return;
        }
    }
}
