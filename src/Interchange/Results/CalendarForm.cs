using System.Diagnostics;

namespace Materialize.Interchange;

/// <summary>ISO text of dates and times from days and microseconds since 2000-01-01, by integer arithmetic alone.</summary>
/// <remarks>Civil-from-days: eras of 400 years = 146,097 days, years beginning in March, so that the leap day is the last.</remarks>
internal static class CalendarForm
{
    public const int BytesMax = 48;
    public const long MicrosPerDay = 86_400_000_000;
    private const int DaysFrom0000March = 730_425;

    public static int WriteDate(int days, Span<byte> target)
    {
        var at = WriteYearMonthDay(days, target, out var isBc);
        return isBc ? at + WriteBc(target[at..]) : at;
    }

    public static int WriteTime(long micros, Span<byte> target)
    {
        var seconds = micros / 1_000_000;
        var fraction = (int)(micros % 1_000_000);
        WriteTwo((int)(seconds / 3600), target);
        target[2] = (byte)':';
        WriteTwo((int)(seconds / 60 % 60), target[3..]);
        target[5] = (byte)':';
        WriteTwo((int)(seconds % 60), target[6..]);
        if (fraction == 0)
            return 8;
        target[8] = (byte)'.';
        var digits = 6;
        for (; fraction % 10 == 0; digits--)
            fraction /= 10;
        for (var i = digits; i > 0; i--)
        {
            target[8 + i] = (byte)('0' + fraction % 10);
            fraction /= 10;
        }

        return 9 + digits;
    }

    public static int WriteTimestamp(long micros, ReadOnlySpan<byte> zone, Span<byte> target)
    {
        var days = Math.DivRem(micros, MicrosPerDay, out var time);
        if (time < 0)
        {
            days--;
            time += MicrosPerDay;
        }

        var at = WriteYearMonthDay(days, target, out var isBc);
        target[at++] = (byte)' ';
        at += WriteTime(time, target[at..]);
        zone.CopyTo(target[at..]);
        at += zone.Length;
        return isBc ? at + WriteBc(target[at..]) : at;
    }

    /// <summary>Days since 2000-01-01 of a proleptic Gregorian date; year 0 is 1 BC.</summary>
    public static long DaysOf(long year, int month, int day)
    {
        var y = month <= 2 ? year - 1 : year;
        var era = (y >= 0 ? y : y - 399) / 400;
        var yearOfEra = y - era * 400;
        var dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
        var dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear;
        return era * 146_097 + dayOfEra - DaysFrom0000March;
    }

    private static int WriteYearMonthDay(long days, Span<byte> target, out bool isBc)
    {
        var z = days + DaysFrom0000March;
        var era = (z >= 0 ? z : z - 146_096) / 146_097;
        var dayOfEra = z - era * 146_097;
        var yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365;
        var dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
        var march = (5 * dayOfYear + 2) / 153;
        var day = (int)(dayOfYear - (153 * march + 2) / 5 + 1);
        var month = (int)(march < 10 ? march + 3 : march - 9);
        var year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
        isBc = year <= 0;
        if (isBc)
            year = 1 - year;
        Debug.Assert(year < 1_000_000);
        var at = 0;
        if (year >= 10_000)
        {
            year.TryFormat(target, out at, default, System.Globalization.CultureInfo.InvariantCulture);
        }
        else
        {
            WriteTwo((int)year / 100, target);
            WriteTwo((int)year % 100, target[2..]);
            at = 4;
        }

        target[at] = (byte)'-';
        WriteTwo(month, target[(at + 1)..]);
        target[at + 3] = (byte)'-';
        WriteTwo(day, target[(at + 4)..]);
        return at + 6;
    }

    private static void WriteTwo(int value, Span<byte> target)
    {
        target[1] = (byte)('0' + value % 10);
        target[0] = (byte)('0' + value / 10);
    }

    private static int WriteBc(Span<byte> target)
    {
        " BC"u8.CopyTo(target);
        return 3;
    }
}
