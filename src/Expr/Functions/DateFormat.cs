using System.Globalization;
using System.Text;
using Materialize.Repr;
using Calendar = Materialize.Repr.Calendar;

namespace Materialize.Expr.Functions;

/// <summary>to_char for timestamps: Postgres' template patterns.</summary>
internal static class DateFormat
{
    private static readonly string[] Months = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
    private static readonly string[] Days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    private static readonly string[] Roman = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

    /// <summary>Longest first among those that begin alike; matched case-sensitively where case matters, else in any case.</summary>
    private static readonly string[] Exact =
        ["MONTH", "Month", "month", "MON", "Mon", "mon", "DAY", "Day", "day", "DY", "Dy", "dy", "A.M.", "P.M.", "a.m.", "p.m.", "AM", "PM", "am", "pm",
         "B.C.", "A.D.", "b.c.", "a.d.", "BC", "AD", "bc", "ad", "RM", "rm", "TZ", "tz"];

    private static readonly string[] AnyCase =
        ["HH24", "HH12", "HH", "MI", "SSSSS", "SSSS", "SS", "MS", "US", "Y,YYY", "YYYY", "YYY", "YY", "Y", "IYYY", "IYY", "IY", "IDDD", "ID", "IW", "I",
         "MM", "DDD", "DD", "D", "WW", "W", "CC", "J", "Q", "OF"];

    public static string Format(long timestamp, string template, bool zoned)
    {
        var text = new StringBuilder();
        var (days, micros) = Calendar.Split(timestamp);
        var at = 0;
        while (at < template.Length)
        {
            if (template[at] == '"')
            {
                at++;
                while (at < template.Length && template[at] != '"')
                {
                    if (template[at] == '\\' && at + 1 < template.Length)
                        at++;
                    text.Append(template[at++]);
                }

                at++;
                continue;
            }

            var start = at;
            var fill = true;
            if (string.CompareOrdinal(template, at, "FM", 0, 2) == 0 || string.CompareOrdinal(template, at, "fm", 0, 2) == 0)
            {
                fill = false;
                at += 2;
            }

            var rest = template.AsSpan(at);
            if (Match(rest) is not { } pattern)
            {
                text.Append(template[start]);
                at = start + 1;
                continue;
            }

            at += pattern.Length;
            var value = Value(pattern, days, micros, fill, zoned);
            text.Append(value);
            var suffix = template.AsSpan(at);
            if (value.Length > 0 && char.IsAsciiDigit(value[^1]) && suffix.StartsWith("th", StringComparison.OrdinalIgnoreCase))
            {
                var ordinal = Ordinal(value);
                text.Append(suffix[0] == 'T' ? ordinal.ToUpperInvariant() : ordinal);
                at += 2;
            }
        }

        return text.ToString();
    }

    private static string? Match(ReadOnlySpan<char> rest)
    {
        foreach (var pattern in Exact)
        {
            if (rest.StartsWith(pattern, StringComparison.Ordinal))
                return pattern;
        }

        foreach (var pattern in AnyCase)
        {
            if (rest.StartsWith(pattern, StringComparison.OrdinalIgnoreCase))
                return pattern;
        }

        return null;
    }

    private static string Value(string pattern, int days, long micros, bool fill, bool zoned)
    {
        var (year, month, day) = Calendar.FromDays(days);
        var shown = year > 0 ? year : 1 - year;
        var iso = Calendar.IsoWeek(days);
        var hour = (int)(micros / Calendar.MicrosPerHour);
        var hour12 = hour % 12 == 0 ? 12 : hour % 12;
        var weekday = Calendar.DayOfWeek(days);
        return pattern switch
        {
            "HH" or "HH12" => Number(hour12, 2),
            "HH24" => Number(hour, 2),
            "MI" => Number((int)(micros / Calendar.MicrosPerMinute % 60), 2),
            "SS" => Number((int)(micros / Calendar.MicrosPerSecond % 60), 2),
            "MS" => Number((int)(micros / 1000 % 1000), 3),
            "US" => Number((int)(micros % Calendar.MicrosPerSecond), 6),
            "SSSS" or "SSSSS" => Number((int)(micros / Calendar.MicrosPerSecond), 1),
            "AM" or "PM" => hour < 12 ? "AM" : "PM",
            "am" or "pm" => hour < 12 ? "am" : "pm",
            "A.M." or "P.M." => hour < 12 ? "A.M." : "P.M.",
            "a.m." or "p.m." => hour < 12 ? "a.m." : "p.m.",
            "Y,YYY" => $"{shown / 1000},{shown % 1000:000}",
            "YYYY" => Number(shown, 4),
            "YYY" => Number(shown % 1000, 3),
            "YY" => Number(shown % 100, 2),
            "Y" => Number(shown % 10, 1),
            "IYYY" => Number(iso.Year, 4),
            "IYY" => Number(iso.Year % 1000, 3),
            "IY" => Number(iso.Year % 100, 2),
            "I" => Number(iso.Year % 10, 1),
            "BC" or "AD" => year > 0 ? "AD" : "BC",
            "bc" or "ad" => year > 0 ? "ad" : "bc",
            "B.C." or "A.D." => year > 0 ? "A.D." : "B.C.",
            "b.c." or "a.d." => year > 0 ? "a.d." : "b.c.",
            "MONTH" => Name(Months[month - 1].ToUpperInvariant(), 9),
            "Month" => Name(Months[month - 1], 9),
            "month" => Name(Months[month - 1].ToLowerInvariant(), 9),
            "MON" => Months[month - 1][..3].ToUpperInvariant(),
            "Mon" => Months[month - 1][..3],
            "mon" => Months[month - 1][..3].ToLowerInvariant(),
            "MM" => Number(month, 2),
            "DAY" => Name(Days[weekday].ToUpperInvariant(), 9),
            "Day" => Name(Days[weekday], 9),
            "day" => Name(Days[weekday].ToLowerInvariant(), 9),
            "DY" => Days[weekday][..3].ToUpperInvariant(),
            "Dy" => Days[weekday][..3],
            "dy" => Days[weekday][..3].ToLowerInvariant(),
            "DDD" => Number(Calendar.DayOfYear(days), 3),
            "IDDD" => Number(((iso.Week - 1) * 7) + (weekday == 0 ? 7 : weekday), 3),
            "DD" => Number(day, 2),
            "D" => Number(weekday + 1, 1),
            "ID" => Number(weekday == 0 ? 7 : weekday, 1),
            "W" => Number(((day - 1) / 7) + 1, 1),
            "WW" => Number(((Calendar.DayOfYear(days) - 1) / 7) + 1, 2),
            "IW" => Number(iso.Week, 2),
            "CC" => Number(year > 0 ? (year + 99) / 100 : -((99 - (year - 1)) / 100), 2),
            "J" => Number(days + 2_451_545, 1),
            "Q" => Number(((month - 1) / 3) + 1, 1),
            "RM" => Name(Roman[month - 1], 4),
            "rm" => Name(Roman[month - 1].ToLowerInvariant(), 4),
            "TZ" => zoned ? "UTC" : "",
            "tz" => zoned ? "utc" : "",
            _ => "+00",
        };

        string Number(int value, int width) => fill ? value.ToString("D" + width, CultureInfo.InvariantCulture) : value.ToString(CultureInfo.InvariantCulture);

        string Name(string name, int width) => fill ? name.PadRight(width) : name;
    }

    private static string Ordinal(string digits)
    {
        if (digits.Length > 1 && digits[^2] == '1')
            return "th";
        return digits[^1] switch
        {
            '1' => "st",
            '2' => "nd",
            '3' => "rd",
            _ => "th",
        };
    }
}
