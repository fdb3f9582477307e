using System.Globalization;
using System.Text;
using NodaTime;

namespace Materialize.Repr;

/// <summary>Dates, times and timestamps: ISO out; ISO and the common Postgres forms in.</summary>
public static class TimeText
{
    private static readonly string[] MonthNames =
        ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];

    private static readonly string[] DayNames = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

    /// <summary><c>2020-01-02</c>, or with <c> BC</c>.</summary>
    public static string FormatDate(int days)
    {
        var text = new StringBuilder(13);
        var bc = AppendDate(text, days);
        return text.Append(bc ? " BC" : "").ToString();
    }

    /// <summary><c>03:04:05.6</c>.</summary>
    public static string FormatTime(long micros)
    {
        var text = new StringBuilder(15);
        AppendTime(text, micros);
        return text.ToString();
    }

    /// <summary><c>2020-01-02 03:04:05.6</c>; with <c>+00</c> if <paramref name="zoned"/>.</summary>
    public static string FormatTimestamp(long timestamp, bool zoned)
    {
        var text = new StringBuilder(32);
        var (days, micros) = Calendar.Split(timestamp);
        var bc = AppendDate(text, days);
        text.Append(' ');
        AppendTime(text, micros);
        return text.Append(zoned ? "+00" : "").Append(bc ? " BC" : "").ToString();
    }

    /// <exception cref="TextFormatException">Not a date.</exception>
    public static int ParseDate(string text)
    {
        var parts = Read(text, "date", needsDate: true);
        if (parts.Days < Calendar.MinDate || parts.Days > Calendar.MaxDate)
            throw new TextFormatException(TextFormatException.DatetimeOverflow, "date is out of range");
        return parts.Days;
    }

    /// <summary>Microseconds of the day.</summary>
    /// <exception cref="TextFormatException">Not a time.</exception>
    public static long ParseTime(string text)
    {
        var micros = Read(text, "time", needsDate: false).Micros;
        return micros >= Calendar.MicrosPerDay ? micros - Calendar.MicrosPerDay : micros;
    }

    /// <summary>A zone in the text is ignored for timestamp and applied for timestamptz, which is UTC without one.</summary>
    /// <exception cref="TextFormatException">Not a timestamp.</exception>
    public static long ParseTimestamp(string text, bool zoned)
    {
        var parts = Read(text, zoned ? "timestamp with time zone" : "timestamp", needsDate: true);
        var value = ((Int128)parts.Days * Calendar.MicrosPerDay) + parts.Micros;
        if (zoned)
        {
            if (parts.Zone is { } zone)
                value = LocalToUtc((long)value, zone);
            else
                value -= parts.OffsetMicros ?? 0;
        }

        if (value < Calendar.MinTimestamp || value > Calendar.MaxTimestamp)
            throw new TextFormatException(TextFormatException.DatetimeOverflow, "timestamp out of range");
        return (long)value;
    }

    /// <summary>A zone by its IANA name, any case, or null.</summary>
    public static DateTimeZone? FindZone(string name)
    {
        if (name.Equals("utc", StringComparison.OrdinalIgnoreCase) || name.Equals("z", StringComparison.OrdinalIgnoreCase) || name.Equals("zulu", StringComparison.OrdinalIgnoreCase))
            return DateTimeZone.Utc;
        return ZonesByName.Value.GetValueOrDefault(name);
    }

    /// <summary>A fixed offset such as <c>+05:30</c>, <c>-8</c> or <c>+0130</c> in microseconds; null if the text is none.</summary>
    public static long? ParseOffset(ReadOnlySpan<char> text)
    {
        if (text.Length < 2 || text[0] is not ('+' or '-'))
            return null;
        var sign = text[0] == '-' ? -1 : 1;
        text = text[1..];
        Span<int> parts = stackalloc int[3];
        var count = 0;
        if (text.Contains(':'))
        {
            foreach (var range in text.Split(':'))
            {
                if (count == 3 || text[range].Length is 0 or > 2 || !int.TryParse(text[range], NumberStyles.None, CultureInfo.InvariantCulture, out parts[count++]))
                    return null;
            }
        }
        else
        {
            if (text.Length > 6 || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                return null;
            (parts[0], parts[1], parts[2]) = text.Length <= 2 ? (number, 0, 0) : text.Length <= 4 ? (number / 100, number % 100, 0) : (number / 10_000, number / 100 % 100, number % 100);
        }

        if (parts[0] > 15 || parts[1] > 59 || parts[2] > 59)
            return null;
        return sign * ((parts[0] * 3600L) + (parts[1] * 60L) + parts[2]) * Calendar.MicrosPerSecond;
    }

    /// <summary>Wall-clock time in a zone to UTC; a time that a jump skips is read with the offset before the jump, one that
    /// comes twice with standard time, as Postgres does.</summary>
    public static long LocalToUtc(long local, DateTimeZone zone)
    {
        // Beyond NodaTime's years there are no transitions left to know.
        var clamped = Clamp(local);
        var days = Calendar.Split(clamped).Days;
        var (year, month, day) = Calendar.FromDays(days);
        var noda = new LocalDateTime(year, month, day, 0, 0).PlusTicks(Calendar.Split(clamped).Micros * 10);
        var map = zone.MapLocal(noda);
        var offset = map.Count == 0 ? map.EarlyInterval.WallOffset : map.Count == 1 ? map.EarlyInterval.WallOffset : map.LateInterval.WallOffset;
        return local - (offset.Seconds * Calendar.MicrosPerSecond);
    }

    /// <summary>Microseconds east of UTC of a zone at an instant.</summary>
    public static long OffsetAt(long utc, DateTimeZone zone) => zone.GetUtcOffset(ToInstant(utc)).Seconds * Calendar.MicrosPerSecond;

    /// <summary>A timestamptz as NodaTime knows it, moved to its first or last year if beyond.</summary>
    public static Instant ToInstant(long utc)
    {
        var micros = Clamp(utc);
        return Instant.FromUnixTimeSeconds(Calendar.UnixEpochSeconds) + Duration.FromSeconds(Calendar.FloorDiv(micros, Calendar.MicrosPerSecond));
    }

    private static readonly Lazy<Dictionary<string, DateTimeZone>> ZonesByName = new(() =>
    {
        var zones = new Dictionary<string, DateTimeZone>(StringComparer.OrdinalIgnoreCase);
        foreach (var id in DateTimeZoneProviders.Tzdb.Ids)
            zones[id] = DateTimeZoneProviders.Tzdb[id];
        return zones;
    });

    private static long Clamp(long micros) => Math.Clamp(micros, Calendar.ToDays(-4000, 1, 1) * Calendar.MicrosPerDay, Calendar.ToDays(9990, 1, 1) * Calendar.MicrosPerDay);

    private static bool AppendDate(StringBuilder text, int days)
    {
        var (year, month, day) = Calendar.FromDays(days);
        var shown = year > 0 ? year : 1 - year;
        text.Append(CultureInfo.InvariantCulture, $"{shown:0000}-{month:00}-{day:00}");
        return year <= 0;
    }

    private static void AppendTime(StringBuilder text, long micros)
    {
        text.Append(CultureInfo.InvariantCulture, $"{micros / Calendar.MicrosPerHour:00}:{micros / Calendar.MicrosPerMinute % 60:00}:{micros / Calendar.MicrosPerSecond % 60:00}");
        AppendFraction(text, micros % Calendar.MicrosPerSecond);
    }

    internal static void AppendFraction(StringBuilder text, long micros)
    {
        if (micros == 0)
            return;
        text.Append('.');
        for (var unit = 100_000L; micros != 0; unit /= 10)
        {
            text.Append((char)('0' + (micros / unit)));
            micros %= unit;
        }
    }

    private record struct Parts(int Days, long Micros, long? OffsetMicros, DateTimeZone? Zone);

    private static Parts Read(string text, string type, bool needsDate)
    {
        var reader = new Reader(text, type);
        return reader.Read(needsDate);
    }

    /// <summary>Splits the text into words and decides what each is.</summary>
    private ref struct Reader(string text, string type)
    {
        private int? _year, _month, _day;
        private long? _micros;
        private long? _offset;
        private DateTimeZone? _zone;
        private bool _bc, _pm, _am;

        public Parts Read(bool needsDate)
        {
            var rest = text.AsSpan().Trim(" \t\n\r");
            if (rest.IsEmpty)
                throw Bad();
            if (needsDate && rest.Equals("epoch", StringComparison.OrdinalIgnoreCase))
                return new Parts(-10_957, 0, 0, null);
            while (!rest.IsEmpty)
            {
                var length = WordLength(rest);
                Word(rest[..length]);
                rest = rest[length..].TrimStart(" ,\t\n\r");
            }

            if (needsDate && (_year is null || _month is null || _day is null))
                throw Bad("YEAR, MONTH, DAY are all required");
            if (!needsDate && _micros is null)
                throw Bad();
            var days = 0;
            if (_year is { } year && _month is { } month && _day is { } day)
            {
                if (_bc)
                    year = 1 - year;
                if (year is < -4800 or > 300_000)
                    throw new TextFormatException(TextFormatException.DatetimeOverflow, $"{(type == "date" ? "date is" : "timestamp")} out of range");
                if (month is < 1 or > 12)
                    throw Bad($"MONTH must be (1, 12), got {month}");
                if (day == 0)
                    throw Bad("DAY cannot be zero");
                if (day > 31 || day > Calendar.DaysInMonth(year, month))
                    throw Bad("invalid or out-of-range date");
                days = Calendar.ToDays(year, month, day);
            }

            var micros = _micros ?? 0;
            if (_am || _pm)
            {
                var hour = micros / Calendar.MicrosPerHour;
                if (hour is < 1 or > 12)
                    throw Bad();
                micros += ((_pm ? 12 : 0) - (hour == 12 ? 12 : 0)) * Calendar.MicrosPerHour;
            }

            return new Parts(days, micros, _offset, _zone);
        }

        private static int WordLength(ReadOnlySpan<char> rest)
        {
            var end = rest.IndexOfAny(" ,\t\n\r");
            return end < 0 ? rest.Length : end;
        }

        private void Word(ReadOnlySpan<char> word)
        {
            if (word.IsEmpty)
                throw Bad();
            if (char.IsAsciiDigit(word[0]))
            {
                Number(word);
            }
            else if (word[0] is '+' or '-')
            {
                if (_micros is null && _year is null && word[0] == '-')
                    throw Bad();
                Offset(word);
            }
            else
            {
                Name(word);
            }
        }

        private void Number(ReadOnlySpan<char> word)
        {
            // A date and time joined by T; month names hold no T after a digit but "oct", "august" and "sept": look for a digit, T, a digit.
            for (var i = 1; i + 1 < word.Length; i++)
            {
                if (word[i] is 'T' or 't' && char.IsAsciiDigit(word[i - 1]) && char.IsAsciiDigit(word[i + 1]))
                {
                    Date(word[..i]);
                    Time(word[(i + 1)..]);
                    return;
                }
            }

            if (word.Contains(':') && word.IndexOf('-') is var dash && (dash < 0 || word.IndexOf(':') < dash))
                Time(word);
            else if (_year is not null && _micros is null && word.Length is 6 or > 6 && word[6..].IndexOfAnyExcept("0123456789.") < 0 && (word.Length == 6 || word[6] == '.'))
                CompactTime(word);
            else
                Date(word);
        }

        private void Date(ReadOnlySpan<char> word)
        {
            // 1999-01-08, 1999 01-08, 1999/1/8, 1999.01.08, 19990108, 8-Jan-1999, 1999-Jan-08; or a day or year beside a month's name.
            var separator = word.IndexOfAny('-', '/', '.');
            if (separator < 0)
            {
                if (!int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                {
                    Suffixed(word);
                    return;
                }

                if (word.Length == 8 && _year is null)
                    (_year, _month, _day) = (number / 10_000, number / 100 % 100, number % 100);
                else if (word.Length == 6 && _year is null && _month is null)
                    (_year, _month, _day) = (TwoDigits(number / 10_000), number / 100 % 100, number % 100);
                else if (_month is not null && _day is null && word.Length <= 2)
                    _day = number;
                else if (word.Length >= 3 && _year is null)
                    _year = number;
                else if (_day is null && word.Length <= 2)
                    _day = number;
                else if (_year is null)
                    _year = TwoDigits(number);
                else
                    throw Bad($"have unprocessed tokens {word}");
                return;
            }

            var zoneAt = -1;
            Span<Range> ranges = stackalloc Range[4];
            var count = word.Split(ranges, word[separator]);
            if (count == 4)
            {
                zoneAt = ranges[3].Start.Value - 1;
                count = 3;
            }

            // 1999 01-08: Materialize takes the year apart from the rest.
            if (count == 2 && _year is not null && _month is null && _day is null && word[separator] == '-')
            {
                (_month, _day) = (Int(word[ranges[0]]), Int(word[ranges[1]]));
                return;
            }

            if (count != 3 || _year is not null)
            {
                if (count == 2)
                    throw Bad("YEAR, MONTH, DAY are all required");
                throw Bad();
            }

            var a = word[ranges[0]];
            var b = word[ranges[1]];
            var c = zoneAt < 0 ? word[ranges[2]] : word[ranges[2].Start.Value..zoneAt];
            if (MonthOf(b) is { } named)
            {
                _month = named;
                if (a.Length >= 3)
                    (_year, _day) = (Int(a), Int(c));
                else
                    (_day, _year) = (Int(a), c.Length <= 2 ? TwoDigits(Int(c)) : Int(c));
            }
            else if (a.Length >= 3 || (word[separator] == '-' && c.Length <= 2))
            {
                (_year, _month, _day) = (a.Length <= 2 ? TwoDigits(Int(a)) : Int(a), Int(b), Int(c));
            }
            else
            {
                (_month, _day, _year) = (Int(a), Int(b), c.Length <= 2 ? TwoDigits(Int(c)) : Int(c));
            }

            if (zoneAt >= 0)
                Offset(word[zoneAt..]);
        }

        private void Suffixed(ReadOnlySpan<char> word)
        {
            var letters = word.IndexOfAnyExceptInRange('0', '9');
            if (letters > 0 && word[letters..] is "th" or "st" or "nd" or "rd")
            {
                _day = Int(word[..letters]);
                return;
            }

            throw Bad($"unknown units {word[letters..].TrimEnd("0123456789:.+-")}");
        }

        private void Time(ReadOnlySpan<char> word)
        {
            if (_micros is not null)
                throw Bad();
            var end = word.IndexOfAnyExcept("0123456789:.");
            var zone = end < 0 ? [] : word[end..];
            var clock = end < 0 ? word : word[..end];
            Span<Range> ranges = stackalloc Range[4];
            var count = clock.Split(ranges, ':');
            if (count == 1)
            {
                CompactTime(clock);
            }
            else
            {
                if (count > 3)
                    throw Bad();
                var hour = Int(clock[ranges[0]]);
                var minute = Int(clock[ranges[1]]);
                var seconds = count == 3 ? clock[ranges[2]] : "0";
                _micros = Clock(hour, minute, seconds);
            }

            if (zone.IsEmpty)
                return;
            if (zone[0] is '+' or '-')
                Offset(zone);
            else
                Name(zone);
        }

        private void CompactTime(ReadOnlySpan<char> clock)
        {
            if (clock.Length < 4 || clock[..4].IndexOfAnyExceptInRange('0', '9') >= 0)
                throw Bad();
            _micros = Clock(Int(clock[..2]), Int(clock[2..4]), clock.Length > 4 ? clock[4..] : "0");
        }

        private readonly long Clock(int hour, int minute, ReadOnlySpan<char> seconds)
        {
            var point = seconds.IndexOf('.');
            var whole = Int(point < 0 ? seconds : seconds[..point]);
            var micros = point < 0 ? 0 : Fraction(seconds[(point + 1)..]);
            if (hour > 24 || (hour == 24 && (minute > 0 || whole > 0 || micros > 0)))
                throw Bad($"HOUR must be (0, 23), got {hour}");
            if (minute > 59)
                throw Bad($"MINUTE must be (0, 59), got {minute}");
            if (whole > 60)
                throw Bad($"SECOND must be (0, 60), got {whole}");
            return (hour * Calendar.MicrosPerHour) + (minute * Calendar.MicrosPerMinute) + (whole * Calendar.MicrosPerSecond) + micros;
        }

        private readonly long Fraction(ReadOnlySpan<char> digits)
        {
            long micros = 0;
            for (var i = 0; i < 6; i++)
            {
                micros *= 10;
                if (i < digits.Length)
                    micros += char.IsAsciiDigit(digits[i]) ? digits[i] - '0' : throw Bad();
            }

            if (digits.Length > 6)
            {
                if (digits[6..].IndexOfAnyExceptInRange('0', '9') >= 0)
                    throw Bad();
                if (digits[6] >= '5')
                    micros++;
            }

            return micros;
        }

        private void Offset(ReadOnlySpan<char> word)
        {
            if (_offset is not null)
                throw Bad();
            _offset = ParseOffset(word) ?? throw Bad($"Cannot parse timezone offset {word}");
        }

        private void Name(ReadOnlySpan<char> word)
        {
            var bare = word.TrimEnd('.');
            if (MonthOf(bare) is { } month && _month is null)
                _month = month;
            else if (bare.Equals("bc", StringComparison.OrdinalIgnoreCase) || bare.Equals("b.c", StringComparison.OrdinalIgnoreCase))
                _bc = true;
            else if (bare.Equals("ad", StringComparison.OrdinalIgnoreCase) || bare.Equals("a.d", StringComparison.OrdinalIgnoreCase))
                _bc = false;
            else if (bare.Equals("am", StringComparison.OrdinalIgnoreCase))
                _am = true;
            else if (bare.Equals("pm", StringComparison.OrdinalIgnoreCase))
                _pm = true;
            else if (word[0] is 'T' or 't' && word.Length > 1 && char.IsAsciiDigit(word[1]))
                Time(word[1..]);
            else if (IsDayName(bare))
                return;
            else if (FindZone(word.ToString()) is { } zone)
                _zone = zone;
            else
                throw Bad($"Invalid timezone string ({word}): '{word}' is not a valid timezone. Failed to parse {word} at token index 0");
        }

        private readonly int Int(ReadOnlySpan<char> digits) =>
            digits.Length is > 0 and <= 7 && int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : throw Bad();

        private static int TwoDigits(int year) => year < 70 ? year + 2000 : year < 100 ? year + 1900 : year;

        private static int? MonthOf(ReadOnlySpan<char> word)
        {
            for (var i = 0; i < 12; i++)
            {
                if (word.Length >= 3 && MonthNames[i].AsSpan().StartsWith(word, StringComparison.OrdinalIgnoreCase) || (i == 8 && word.Equals("sept", StringComparison.OrdinalIgnoreCase)))
                    return i + 1;
            }

            return null;
        }

        private static bool IsDayName(ReadOnlySpan<char> word)
        {
            foreach (var day in DayNames)
            {
                if (word.Length >= 3 && day.AsSpan().StartsWith(word, StringComparison.OrdinalIgnoreCase))
                    return true;
            }

            return false;
        }

        private readonly TextFormatException Bad(string? why = null) => TextFormatException.Invalid(type, text, why, TextFormatException.InvalidDatetime);
    }
}
