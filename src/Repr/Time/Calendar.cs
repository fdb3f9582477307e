namespace Materialize.Repr;

/// <summary>
/// The proleptic Gregorian calendar in integers: days and microseconds since 2000-01-01, over all years that SQL types reach.
/// Year 0 is 1 BC, −1 is 2 BC. Written out because the BCL and NodaTime end at year 9999.
/// </summary>
public static class Calendar
{
    public const long MicrosPerSecond = 1_000_000;
    public const long MicrosPerMinute = 60 * MicrosPerSecond;
    public const long MicrosPerHour = 60 * MicrosPerMinute;
    public const long MicrosPerDay = 24 * MicrosPerHour;

    /// <summary>Seconds from the Unix epoch to ours.</summary>
    public const long UnixEpochSeconds = 946_684_800;

    /// <summary>4714-11-24 BC.</summary>
    public static readonly int MinDate = ToDays(-4713, 11, 24);

    /// <summary>262143-12-31.</summary>
    public static readonly int MaxDate = ToDays(262143, 12, 31);

    /// <summary>4714-11-24 BC 00:00:00.</summary>
    public static readonly long MinTimestamp = MinDate * MicrosPerDay;

    /// <summary>The end of 294276-12-31.</summary>
    public static readonly long MaxTimestamp = (ToDays(294277, 1, 1) * MicrosPerDay) - 1;

    /// <summary>Days from 2000-01-01 to the given date; month and day must be valid.</summary>
    public static int ToDays(int year, int month, int day)
    {
        // Years begin in March, so that the leap day is the last of its year; eras are 400 years. (Howard Hinnant's algorithm.)
        var y = month <= 2 ? year - 1 : year;
        var era = FloorDiv(y, 400);
        var yearOfEra = y - (era * 400);
        var dayOfYear = ((153 * (month + (month > 2 ? -3 : 9))) + 2) / 5 + day - 1;
        var dayOfEra = (yearOfEra * 365) + (yearOfEra / 4) - (yearOfEra / 100) + dayOfYear;
        return (era * 146_097) + dayOfEra - 730_425;
    }

    /// <summary>The inverse of <see cref="ToDays"/>.</summary>
    public static (int Year, int Month, int Day) FromDays(int days)
    {
        var z = days + 730_425L;
        var era = (int)FloorDiv(z, 146_097);
        var dayOfEra = (int)(z - (era * 146_097L));
        var yearOfEra = (dayOfEra - (dayOfEra / 1460) + (dayOfEra / 36_524) - (dayOfEra / 146_096)) / 365;
        var dayOfYear = dayOfEra - ((365 * yearOfEra) + (yearOfEra / 4) - (yearOfEra / 100));
        var mp = ((5 * dayOfYear) + 2) / 153;
        var day = dayOfYear - (((153 * mp) + 2) / 5) + 1;
        var month = mp < 10 ? mp + 3 : mp - 9;
        return (yearOfEra + (era * 400) + (month <= 2 ? 1 : 0), month, day);
    }

    public static bool IsLeapYear(int year) => year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    public static int DaysInMonth(int year, int month) => month switch
    {
        2 => IsLeapYear(year) ? 29 : 28,
        4 or 6 or 9 or 11 => 30,
        _ => 31,
    };

    /// <summary>0 for Sunday.</summary>
    public static int DayOfWeek(int days) => (int)FloorMod(days + 6L, 7);

    /// <summary>1 for January 1st.</summary>
    public static int DayOfYear(int days) => days - ToDays(FromDays(days).Year, 1, 1) + 1;

    /// <summary>ISO 8601 year and week.</summary>
    public static (int Year, int Week) IsoWeek(int days)
    {
        // The week belongs to the year of its Thursday.
        var thursday = days + 3 - (int)FloorMod(DayOfWeek(days) + 6, 7);
        var year = FromDays(thursday).Year;
        return (year, ((thursday - ToDays(year, 1, 1)) / 7) + 1);
    }

    /// <summary>The day and the microsecond of the day of a timestamp.</summary>
    public static (int Days, long Micros) Split(long timestamp)
    {
        var days = FloorDiv(timestamp, MicrosPerDay);
        return ((int)days, timestamp - (days * MicrosPerDay));
    }

    public static bool IsValidTimestamp(long timestamp) => timestamp >= MinTimestamp && timestamp <= MaxTimestamp;

    /// <summary>Moves a day by months, to the last day of the month where the day does not exist; null beyond all years.</summary>
    public static int? AddMonths(int days, int months)
    {
        var (year, month, day) = FromDays(days);
        var total = (year * 12L) + month - 1 + months;
        var newYear = FloorDiv(total, 12);
        if (newYear is < -5000 or > 300_000)
            return null;
        var newMonth = (int)(total - (newYear * 12)) + 1;
        return ToDays((int)newYear, newMonth, Math.Min(day, DaysInMonth((int)newYear, newMonth)));
    }

    /// <summary>A timestamp moved by an interval: months, then days, then microseconds. False when out of range.</summary>
    public static bool TryAdd(long timestamp, Interval interval, out long result)
    {
        var (days, micros) = Split(timestamp);
        result = 0;
        if (interval.Months != 0)
        {
            if (AddMonths(days, interval.Months) is not { } moved)
                return false;
            days = moved;
        }

        var sum = (((Int128)days + interval.Days) * MicrosPerDay) + micros + interval.Micros;
        if (sum < MinTimestamp || sum > MaxTimestamp)
            return false;
        result = (long)sum;
        return true;
    }

    public static long FloorDiv(long a, long b) => (a / b) - (a % b != 0 && (a ^ b) < 0 ? 1 : 0);

    public static int FloorDiv(int a, int b) => (int)FloorDiv((long)a, b);

    public static long FloorMod(long a, long b) => a - (FloorDiv(a, b) * b);
}
