using System.Globalization;
using System.Text;
using Materialize.Sql;
using Materialize.Sql.Parser;

namespace Materialize.Adapter;

/// <summary>Checks a value for a variable and writes it as SHOW prints it.</summary>
internal static class VariableText
{
    /// <exception cref="SqlException">22023: not a value of this variable.</exception>
    public static string Normalize(Variable variable, IReadOnlyList<string> values)
    {
        if (variable.Kind == VariableKind.StringList)
            return string.Join(", ", values.Select(v => v == "*" ? v : AstPrinter.QuoteIdent(v)));
        // DateStyle is written as a list and is one value.
        var value = string.Join(", ", values);
        var normal = variable.Kind switch
        {
            VariableKind.Bool => Bool(value),
            VariableKind.Integer => int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
                ? number.ToString(CultureInfo.InvariantCulture)
                : null,
            VariableKind.Duration => TryDuration(value, out var duration) ? Duration(duration) : null,
            VariableKind.ByteSize => TryByteSize(value, out _) ? value : null,
            VariableKind.Isolation => Isolation(value),
            VariableKind.ClientSeverity => value.ToLowerInvariant(),
            _ => value,
        };
        if (normal is null || (variable.Allowed.Length > 0 && !variable.Allowed.Contains(normal, StringComparer.OrdinalIgnoreCase)))
        {
            throw new SqlException("22023", $"invalid value for parameter \"{variable.Name}\": \"{value}\"")
            {
                Hint = variable.Allowed.Length > 0 ? $"Available values: {string.Join(", ", variable.Allowed)}." : null,
            };
        }

        return normal;
    }

    /// <summary>The names of a list as SHOW prints it: quoted where they need it.</summary>
    public static IEnumerable<string> Names(string list)
    {
        for (var at = 0; at < list.Length; at++)
        {
            if (list[at] is ' ' or ',')
                continue;
            var name = new StringBuilder();
            if (list[at] == '"')
            {
                for (at++; at < list.Length && (list[at] != '"' || (at + 1 < list.Length && list[at + 1] == '"')); at++)
                {
                    name.Append(list[at]);
                    if (list[at] == '"')
                        at++;
                }
            }
            else
            {
                while (at < list.Length && list[at] != ',')
                    name.Append(list[at++]);
            }

            yield return name.ToString().TrimEnd();
        }
    }

    /// <summary>A number of milliseconds, or a number with a unit.</summary>
    public static bool TryDuration(string text, out TimeSpan duration)
    {
        duration = default;
        var (number, unit) = Split(text);
        if (!double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) || value < 0)
            return false;
        double? millis = unit switch
        {
            "" or "ms" or "milliseconds" => value,
            "us" => value / 1000,
            "s" or "sec" or "second" or "seconds" => value * 1000,
            "m" or "min" or "minute" or "minutes" => value * 60_000,
            "h" or "hour" or "hours" => value * 3_600_000,
            "d" or "day" or "days" => value * 86_400_000,
            _ => null,
        };
        if (millis is not { } total || total > TimeSpan.MaxValue.TotalMilliseconds / 2)
            return false;
        duration = TimeSpan.FromMilliseconds(total);
        return true;
    }

    /// <summary>In the largest unit that keeps it whole.</summary>
    private static string Duration(TimeSpan duration) => duration.Ticks switch
    {
        0 => "0",
        var ticks when ticks % TimeSpan.TicksPerDay == 0 => $"{ticks / TimeSpan.TicksPerDay} d",
        var ticks when ticks % TimeSpan.TicksPerHour == 0 => $"{ticks / TimeSpan.TicksPerHour} h",
        var ticks when ticks % TimeSpan.TicksPerMinute == 0 => $"{ticks / TimeSpan.TicksPerMinute} min",
        var ticks when ticks % TimeSpan.TicksPerSecond == 0 => $"{ticks / TimeSpan.TicksPerSecond} s",
        var ticks when ticks % TimeSpan.TicksPerMillisecond == 0 => $"{ticks / TimeSpan.TicksPerMillisecond} ms",
        var ticks => $"{ticks / TimeSpan.TicksPerMicrosecond} us",
    };

    /// <summary>A number of bytes, with or without a unit.</summary>
    public static bool TryByteSize(string text, out ulong bytes)
    {
        bytes = 0;
        var (number, unit) = Split(text);
        if (!ulong.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var value))
            return false;
        int? shift = unit switch
        {
            "" or "b" => 0,
            "kb" => 10,
            "mb" => 20,
            "gb" => 30,
            "tb" => 40,
            _ => null,
        };
        if (shift is not { } bits || value > ulong.MaxValue >> bits)
            return false;
        bytes = value << bits;
        return true;
    }

    private static (string Number, string Unit) Split(string text)
    {
        text = text.Trim();
        var end = 0;
        while (end < text.Length && (char.IsAsciiDigit(text[end]) || text[end] == '.'))
            end++;
        return (text[..end], text[end..].Trim().ToLowerInvariant());
    }

    private static string? Bool(string value) => value.ToLowerInvariant() switch
    {
        "on" or "true" or "t" or "yes" or "1" => "on",
        "off" or "false" or "f" or "no" or "0" => "off",
        _ => null,
    };

    private static string? Isolation(string value) => value.ToLowerInvariant() switch
    {
        "read uncommitted" or "read committed" or "repeatable read" or "serializable" => "serializable",
        "strict serializable" => "strict serializable",
        _ => null,
    };
}
