using System.Globalization;
using System.Text;

namespace Materialize.Repr;

/// <summary>The units an interval literal may be qualified with.</summary>
public enum IntervalField
{
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

/// <summary>Intervals in Postgres' own style; ISO 8601 and SQL-standard forms are read too.</summary>
public static class IntervalText
{
    /// <summary><c>1 year 2 months -3 days +04:05:06.7</c>.</summary>
    public static string Format(Interval value)
    {
        var text = new StringBuilder();
        var before = false;
        Unit(value.Months / 12, "year");
        Unit(value.Months % 12, "month");
        Unit(value.Days, "day");
        if (value.Micros != 0 || text.Length == 0)
        {
            if (text.Length > 0)
                text.Append(' ');
            if (value.Micros < 0)
                text.Append('-');
            else if (before)
                text.Append('+');
            var micros = value.Micros < 0 ? (ulong)-value.Micros : (ulong)value.Micros;
            text.Append(CultureInfo.InvariantCulture, $"{micros / (ulong)Calendar.MicrosPerHour:00}:{micros / (ulong)Calendar.MicrosPerMinute % 60:00}:{micros / (ulong)Calendar.MicrosPerSecond % 60:00}");
            TimeText.AppendFraction(text, (long)(micros % (ulong)Calendar.MicrosPerSecond));
        }

        return text.ToString();

        void Unit(int amount, string unit)
        {
            if (amount == 0)
                return;
            if (text.Length > 0)
                text.Append(' ');
            if (before && amount > 0)
                text.Append('+');
            text.Append(CultureInfo.InvariantCulture, $"{amount} {unit}").Append(amount == 1 ? "" : "s");
            before = amount < 0;
        }
    }

    /// <summary>Reads an interval; a bare number counts <paramref name="bare"/>s.</summary>
    /// <param name="isMinuteToSecond">Whether <c>1:2</c> is minutes and seconds, not hours and minutes.</param>
    /// <exception cref="TextFormatException">Not an interval, or too large.</exception>
    public static Interval Parse(string text, IntervalField bare = IntervalField.Second, bool isMinuteToSecond = false)
    {
        var sum = new Sum(text);
        var rest = text.AsSpan().Trim();
        if (rest.IsEmpty)
            throw sum.Bad();
        if (rest[0] is 'P' or 'p')
            Iso(rest[1..], ref sum);
        else
            Verbose(rest, bare, isMinuteToSecond, ref sum);
        return sum.Total();
    }

    /// <summary>What is left of an interval in a column or literal qualified <c>head TO tail(precision)</c>.</summary>
    public static Interval Truncate(Interval value, IntervalField tail, int? precision)
    {
        var micros = tail switch
        {
            IntervalField.Year or IntervalField.Month or IntervalField.Day => 0,
            IntervalField.Hour => value.Micros - (value.Micros % Calendar.MicrosPerHour),
            IntervalField.Minute => value.Micros - (value.Micros % Calendar.MicrosPerMinute),
            _ => value.Micros,
        };
        if (tail == IntervalField.Second && precision is { } digits and < 6)
        {
            var unit = (long)Math.Pow(10, 6 - digits);
            micros = (long)Math.Round((decimal)micros / unit, MidpointRounding.AwayFromZero) * unit;
        }

        return new Interval(tail == IntervalField.Year ? value.Months - (value.Months % 12) : value.Months, tail is IntervalField.Year or IntervalField.Month ? 0 : value.Days, micros);
    }

    private static void Verbose(ReadOnlySpan<char> rest, IntervalField bare, bool isMinuteToSecond, ref Sum sum)
    {
        if (rest[0] == '@')
            rest = rest[1..].TrimStart();
        var any = false;
        while (!rest.IsEmpty)
        {
            var ago = rest.Equals("ago", StringComparison.OrdinalIgnoreCase);
            if (ago && any)
            {
                sum.Negate();
                return;
            }

            var sign = 1;
            var length = 0;
            if (rest[0] is '+' or '-')
            {
                sign = rest[0] == '-' ? -1 : 1;
                rest = rest[1..].TrimStart();
            }

            while (length < rest.Length && (char.IsAsciiDigit(rest[length]) || rest[length] is '.' or ':'))
                length++;
            if (length == 0)
                throw sum.Bad();
            var number = rest[..length];
            rest = rest[length..];
            any = true;
            if (number.Contains(':'))
            {
                Clock(number, sign, isMinuteToSecond, ref sum);
                rest = rest.TrimStart();
                continue;
            }

            if (rest.Length > 1 && rest[0] == '-' && char.IsAsciiDigit(rest[1]))
            {
                // SQL's year-month: 1-2.
                var end = 1;
                while (end < rest.Length && char.IsAsciiDigit(rest[end]))
                    end++;
                if (end < rest.Length && !char.IsWhiteSpace(rest[end]))
                    throw sum.Bad();
                sum.Add("year", sign, number);
                sum.Add("month", sign, rest[1..end]);
                rest = rest[end..].TrimStart();
                continue;
            }

            rest = rest.TrimStart();
            var letters = 0;
            while (letters < rest.Length && char.IsAsciiLetter(rest[letters]))
                letters++;
            if (letters > 0 && !(rest[..letters].Equals("ago", StringComparison.OrdinalIgnoreCase)))
            {
                sum.Add(rest[..letters], sign, number);
                rest = rest[letters..].TrimStart(" \t\n,");
            }
            else
            {
                // A number before a clock is days: "1 2:03:04".
                var clockFollows = rest.IndexOf(':') is var colon && colon > 0 && rest[..colon].TrimStart("+-").IndexOfAnyExceptInRange('0', '9') < 0;
                sum.Add(clockFollows ? "day" : bare.ToString(), sign, number);
            }
        }
    }

    private static void Clock(ReadOnlySpan<char> text, int sign, bool isMinuteToSecond, ref Sum sum)
    {
        Span<Range> ranges = stackalloc Range[4];
        var count = text.Split(ranges, ':');
        if (count > 3)
            throw sum.Bad();
        if (count == 2 && (isMinuteToSecond || text[ranges[1]].Contains('.')))
        {
            sum.Add("minute", sign, text[ranges[0]]);
            sum.Add("second", sign, text[ranges[1]]);
            return;
        }

        sum.Add("hour", sign, text[ranges[0]]);
        sum.Add("minute", sign, text[ranges[1]]);
        if (count == 3)
            sum.Add("second", sign, text[ranges[2]]);
    }

    private static void Iso(ReadOnlySpan<char> rest, ref Sum sum)
    {
        var time = false;
        if (rest.IsEmpty)
            throw sum.Bad();
        while (!rest.IsEmpty)
        {
            if (rest[0] is 'T' or 't')
            {
                time = true;
                rest = rest[1..];
                continue;
            }

            var sign = rest[0] == '-' ? -1 : 1;
            if (rest[0] is '+' or '-')
                rest = rest[1..];
            var length = 0;
            while (length < rest.Length && (char.IsAsciiDigit(rest[length]) || rest[length] == '.'))
                length++;
            if (length == 0 || length == rest.Length)
                throw sum.Bad();
            var unit = (char.ToUpperInvariant(rest[length]), time) switch
            {
                ('Y', false) => "year",
                ('M', false) => "month",
                ('W', false) => "week",
                ('D', false) => "day",
                ('H', true) => "hour",
                ('M', true) => "minute",
                ('S', true) => "second",
                _ => throw sum.Bad(),
            };
            sum.Add(unit, sign, rest[..length]);
            rest = rest[(length + 1)..];
        }
    }

    /// <summary>Adds amounts of units; a fraction spills into the smaller parts, a month being 30 days and a day 24 hours.</summary>
    private struct Sum(string text)
    {
        private Int128 _months;
        private Int128 _days;
        private Int128 _micros;

        public void Add(ReadOnlySpan<char> unit, int sign, ReadOnlySpan<char> number)
        {
            var point = number.IndexOf('.');
            var wholeText = point < 0 ? number : number[..point];
            Int128 whole = 0;
            if (!wholeText.IsEmpty && !Int128.TryParse(wholeText, NumberStyles.None, CultureInfo.InvariantCulture, out whole))
                throw Bad();
            decimal part = 0;
            if (point >= 0)
            {
                var digits = number[(point + 1)..];
                if (digits.IndexOfAnyExceptInRange('0', '9') >= 0 || (digits.IsEmpty && wholeText.IsEmpty))
                    throw Bad();
                if (digits.Length > 0)
                    part = decimal.Parse(string.Concat("0.", digits[..Math.Min(digits.Length, 20)]), CultureInfo.InvariantCulture);
            }

            whole *= sign;
            part *= sign;
            switch (Name(unit))
            {
                case "millennium":
                    AddMonths(whole, part, 12_000);
                    break;
                case "century":
                    AddMonths(whole, part, 1200);
                    break;
                case "decade":
                    AddMonths(whole, part, 120);
                    break;
                case "year":
                    AddMonths(whole, part, 12);
                    break;
                case "quarter":
                    AddMonths(whole, part, 3);
                    break;
                case "month":
                    _months += whole;
                    AddDays(part * 30);
                    break;
                case "week":
                    _days += whole * 7;
                    AddDays(part * 7);
                    break;
                case "day":
                    _days += whole;
                    AddMicros(part * Calendar.MicrosPerDay);
                    break;
                case "hour":
                    _micros += whole * Calendar.MicrosPerHour;
                    AddMicros(part * Calendar.MicrosPerHour);
                    break;
                case "minute":
                    _micros += whole * Calendar.MicrosPerMinute;
                    AddMicros(part * Calendar.MicrosPerMinute);
                    break;
                case "second":
                    _micros += whole * Calendar.MicrosPerSecond;
                    AddMicros(part * Calendar.MicrosPerSecond);
                    break;
                case "millisecond":
                    _micros += whole * 1000;
                    AddMicros(part * 1000);
                    break;
                case "microsecond":
                    _micros += whole;
                    AddMicros(part);
                    break;
                default:
                    throw Bad($"unknown units {unit}");
            }
        }

        private void AddMonths(Int128 whole, decimal part, int each)
        {
            _months += whole * each;
            var months = part * each;
            _months += (Int128)decimal.Truncate(months);
            AddDays((months - decimal.Truncate(months)) * 30);
        }

        private void AddDays(decimal days)
        {
            _days += (Int128)decimal.Truncate(days);
            AddMicros((days - decimal.Truncate(days)) * Calendar.MicrosPerDay);
        }

        private void AddMicros(decimal micros) => _micros += (Int128)Math.Round(micros, MidpointRounding.AwayFromZero);

        public void Negate()
        {
            _months = -_months;
            _days = -_days;
            _micros = -_micros;
        }

        public readonly Interval Total()
        {
            if (_months < int.MinValue || _months > int.MaxValue)
                throw Bad($"Overflows maximum months; cannot exceed {int.MaxValue}/{int.MinValue} months");
            if (_days < int.MinValue || _days > int.MaxValue)
                throw Bad($"Overflows maximum days; cannot exceed {int.MaxValue}/{int.MinValue} days");
            if (_micros < long.MinValue || _micros > long.MaxValue)
                throw Bad($"Overflows maximum microseconds; cannot exceed {long.MaxValue}/{long.MinValue} microseconds");
            return new Interval((int)_months, (int)_days, (long)_micros);
        }

        public readonly TextFormatException Bad(string? why = null) => TextFormatException.Invalid("interval", text, why, TextFormatException.InvalidDatetime);

        private static string Name(ReadOnlySpan<char> unit) => DateUnits.Find(unit.ToString()) ?? "";
    }
}
