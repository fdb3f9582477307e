using Materialize.Core.Collections;
using Materialize.Repr;
using DateTimeZone = NodaTime.DateTimeZone;
using Interval = Materialize.Repr.Interval;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static void AddTimes(Dictionary<string, ScalarImplementation> table)
    {
        table["neg_interval"] = (a, _, _) => Span(Negate(a[0].AsInterval));
        table["add_interval"] = (a, _, _) => Span(Add(a[0].AsInterval, a[1].AsInterval));
        table["sub_interval"] = (a, _, _) => Span(Add(a[0].AsInterval, Negate(a[1].AsInterval)));
        table["mul_interval_float8"] = (a, _, _) => Span(Scale(a[0].AsInterval, a[1].AsDouble));
        table["mul_float8_interval"] = (a, _, _) => Span(Scale(a[1].AsInterval, a[0].AsDouble));
        table["div_interval_float8"] = (a, _, _) => a[1].AsDouble == 0 ? DivideByZero() : Span(Scale(a[0].AsInterval, 1 / a[1].AsDouble, a[1].AsDouble));
        foreach (var type in (string[])["timestamp", "timestamptz"])
        {
            table[$"add_{type}_interval"] = (a, _, _) => Moved(a[0].AsInt64, a[1].AsInterval);
            table[$"add_interval_{type}"] = (a, _, _) => Moved(a[1].AsInt64, a[0].AsInterval);
            table[$"sub_{type}_interval"] = (a, _, _) => Moved(a[0].AsInt64, Negate(a[1].AsInterval));
            table[$"sub_{type}"] = (a, _, _) => Span(Difference(a[0].AsInt64, a[1].AsInt64));
            table[$"age_{type}"] = (a, _, _) => Span(Age(a[0].AsInt64, a[1].AsInt64));
            table[$"date_bin_{type}"] = (a, _, _) => Int(DateBin(a[0].AsInterval, a[1].AsInt64, a.Length > 2 ? a[2].AsInt64 : -Calendar.UnixEpochSeconds * Calendar.MicrosPerSecond));
        }

        table["add_date_interval"] = (a, _, _) => Moved(a[0].AsInt64 * Calendar.MicrosPerDay, a[1].AsInterval);
        table["add_interval_date"] = (a, _, _) => Moved(a[1].AsInt64 * Calendar.MicrosPerDay, a[0].AsInterval);
        table["sub_date_interval"] = (a, _, _) => Moved(a[0].AsInt64 * Calendar.MicrosPerDay, Negate(a[1].AsInterval));
        table["add_date_time"] = (a, _, _) => Stamp(((Int128)a[0].AsInt64 * Calendar.MicrosPerDay) + a[1].AsInt64);
        table["add_time_date"] = (a, _, _) => Stamp(((Int128)a[1].AsInt64 * Calendar.MicrosPerDay) + a[0].AsInt64);
        table["add_time_interval"] = (a, _, _) => Int(Calendar.FloorMod(a[0].AsInt64 + (a[1].AsInterval.Micros % Calendar.MicrosPerDay), Calendar.MicrosPerDay));
        table["add_interval_time"] = (a, _, _) => Int(Calendar.FloorMod(a[1].AsInt64 + (a[0].AsInterval.Micros % Calendar.MicrosPerDay), Calendar.MicrosPerDay));
        table["sub_time_interval"] = (a, _, _) => Int(Calendar.FloorMod(a[0].AsInt64 - (a[1].AsInterval.Micros % Calendar.MicrosPerDay), Calendar.MicrosPerDay));
        table["sub_date"] = (a, _, _) => Int(a[0].AsInt64 - a[1].AsInt64);
        table["sub_time"] = (a, _, _) => Span(new Interval(0, 0, a[0].AsInt64 - a[1].AsInt64));
        table["justify_days"] = (a, _, _) => Span(JustifyDays(a[0].AsInterval));
        table["justify_hours"] = (a, _, _) => Span(JustifyHours(a[0].AsInterval));
        table["justify_interval"] = (a, _, _) => Span(JustifyInterval(a[0].AsInterval));
        table["make_timestamp"] = (a, _, _) => MakeTimestamp(a);
        table["to_timestamp"] = (a, _, _) => ToTimestamp(a[0].AsDouble);
        table["timezone_text_timestamp"] = (a, _, _) => Stamp(ToUtc(a[1].AsInt64, Zone(a[0].AsString)));
        table["timezone_text_timestamptz"] = (a, _, _) => Stamp((Int128)a[1].AsInt64 + OffsetAt(a[1].AsInt64, Zone(a[0].AsString)));
        table["timezone_text_time"] = (a, _, _) => Int(Calendar.FloorMod(a[1].AsInt64 + OffsetAt(0, Zone(a[0].AsString)), Calendar.MicrosPerDay));
        table["timezone_interval_timestamp"] = (a, _, _) => Stamp((Int128)a[1].AsInt64 - ZoneOffset(a[0].AsInterval));
        table["timezone_interval_timestamptz"] = (a, _, _) => Stamp((Int128)a[1].AsInt64 + ZoneOffset(a[0].AsInterval));
        table["timezone_interval_time"] = (a, _, _) => Int(Calendar.FloorMod(a[1].AsInt64 + ZoneOffset(a[0].AsInterval), Calendar.MicrosPerDay));
        table["timezone_offset"] = (a, _, _) => ZoneRecord(a[0].AsString, a[1].AsInt64);
        table["try_parse_monotonic_iso8601_timestamp"] = (a, _, _) => ParseIso(a[0].AsString);
        table["timestamp_to_mz_timestamp_round_up"] = (a, _, _) => ToMzTimestamp(a[0].AsInt64 + 999);
    }

    private static Datum Span(Interval value) => Datum.FromInterval(value);

    private static Interval MakeInterval(Int128 months, Int128 days, Int128 micros)
    {
        if (months < int.MinValue || months > int.MaxValue || days < int.MinValue || days > int.MaxValue || micros < long.MinValue || micros > long.MaxValue)
            throw Fail("22008", "interval out of range");
        return new Interval((int)months, (int)days, (long)micros);
    }

    private static Interval Negate(Interval x) => MakeInterval(-(Int128)x.Months, -(Int128)x.Days, -(Int128)x.Micros);

    private static Interval Add(Interval x, Interval y) => MakeInterval((Int128)x.Months + y.Months, (Int128)x.Days + y.Days, (Int128)x.Micros + y.Micros);

    /// <summary>
    /// Each part scaled; fractions of months go to days of a 30-day month, fractions of days to time. With a divisor the parts
    /// are divided by it, so that exact quotients stay exact.
    /// </summary>
    private static Interval Scale(Interval x, double factor, double? divisor = null)
    {
        if (!double.IsFinite(factor))
            throw Fail("22008", "interval out of range");
        var months = Times(x.Months);
        var days = Times(x.Days);
        var micros = Times(x.Micros);
        var wholeMonths = Math.Truncate(months);
        var monthDays = Snap((months - wholeMonths) * 30);
        var wholeMonthDays = Math.Truncate(monthDays);
        var wholeDays = Math.Truncate(days);
        var rest = Snap((days - wholeDays) + (monthDays - wholeMonthDays));
        var spill = Math.Truncate(rest);
        wholeDays += wholeMonthDays + spill;
        var total = Math.Round(micros + ((rest - spill) * Calendar.MicrosPerDay), MidpointRounding.ToEven);
        if (Math.Abs(wholeMonths) > int.MaxValue || Math.Abs(wholeDays) > int.MaxValue || Math.Abs(total) >= long.MaxValue)
            throw Fail("22008", "interval out of range");
        return new Interval((int)wholeMonths, (int)wholeDays, (long)total);

        double Times(double part) => divisor is { } d ? part / d : part * factor;

        // Binary fractions of months and days carry noise; a millionth of a second is the least that counts.
        static double Snap(double days) => Math.Round(days * 86_400_000_000.0) / 86_400_000_000.0;
    }

    private static Datum Moved(long timestamp, Interval by) =>
        Calendar.TryAdd(timestamp, by, out var result) ? Int(result) : throw Fail("22008", "timestamp out of range");

    private static Datum Stamp(Int128 micros) =>
        micros >= Calendar.MinTimestamp && micros <= Calendar.MaxTimestamp ? Int((long)micros) : throw Fail("22008", "timestamp out of range");

    private static Interval Difference(long a, long b)
    {
        var micros = (Int128)a - b;
        return new Interval(0, (int)(micros / Calendar.MicrosPerDay), (long)(micros % Calendar.MicrosPerDay));
    }

    /// <summary>Years, months and days as one would count them on a calendar, borrowing days from the earlier month.</summary>
    private static Interval Age(long a, long b)
    {
        var negative = a < b;
        var (late, early) = negative ? (b, a) : (a, b);
        var (lateDays, lateMicros) = Calendar.Split(late);
        var (earlyDays, earlyMicros) = Calendar.Split(early);
        var x = Calendar.FromDays(lateDays);
        var y = Calendar.FromDays(earlyDays);
        var micros = lateMicros - earlyMicros;
        var days = x.Day - y.Day;
        var months = ((x.Year - y.Year) * 12) + x.Month - y.Month;
        if (micros < 0)
        {
            micros += Calendar.MicrosPerDay;
            days--;
        }

        if (days < 0)
        {
            // The days borrowed are those of the earlier date's month, as in Postgres.
            days += Calendar.DaysInMonth(y.Year, y.Month);
            months--;
        }

        var age = new Interval(months, days, micros);
        return negative ? Negate(age) : age;
    }

    private static long DateBin(Interval stride, long timestamp, long origin)
    {
        if (stride.Months != 0)
            throw Fail("0A000", "timestamps cannot be binned into intervals containing months or years");
        var width = ((Int128)stride.Days * Calendar.MicrosPerDay) + stride.Micros;
        if (width <= 0)
            throw Fail("22008", "stride must be greater than zero");
        if (width > long.MaxValue / 1000)
            throw Fail("22008", $"stride cannot exceed {long.MaxValue / 1_000_000_000} seconds");
        var offset = (Int128)timestamp - origin;
        var rest = offset % width;
        if (rest < 0)
            rest += width;
        return Stamp((Int128)timestamp - rest).AsInt64;
    }

    private static Interval JustifyDays(Interval x)
    {
        var months = x.Days / 30;
        var (m, d) = ((Int128)x.Months + months, x.Days - (months * 30));
        if (m > 0 && d < 0)
            (m, d) = (m - 1, d + 30);
        else if (m < 0 && d > 0)
            (m, d) = (m + 1, d - 30);
        return MakeInterval(m, d, x.Micros);
    }

    private static Interval JustifyHours(Interval x)
    {
        var days = x.Micros / Calendar.MicrosPerDay;
        var (d, micros) = ((Int128)x.Days + days, x.Micros - (days * Calendar.MicrosPerDay));
        if (d > 0 && micros < 0)
            (d, micros) = (d - 1, micros + Calendar.MicrosPerDay);
        else if (d < 0 && micros > 0)
            (d, micros) = (d + 1, micros - Calendar.MicrosPerDay);
        return MakeInterval(x.Months, d, micros);
    }

    private static Interval JustifyInterval(Interval x)
    {
        var micros = (Int128)x.Micros;
        var days = (Int128)x.Days;
        var months = (Int128)x.Months;
        days += micros / Calendar.MicrosPerDay;
        micros %= Calendar.MicrosPerDay;
        months += days / 30;
        days %= 30;
        if (months > 0 && (days < 0 || (days == 0 && micros < 0)))
            (months, days) = (months - 1, days + 30);
        else if (months < 0 && (days > 0 || (days == 0 && micros > 0)))
            (months, days) = (months + 1, days - 30);
        if (days > 0 && micros < 0)
            (days, micros) = (days - 1, micros + Calendar.MicrosPerDay);
        else if (days < 0 && micros > 0)
            (days, micros) = (days + 1, micros - Calendar.MicrosPerDay);
        return MakeInterval(months, days, micros);
    }

    private static Datum MakeTimestamp(ReadOnlySpan<Datum> a)
    {
        var (year, month, day, hour, minute, second) = (a[0].AsInt64, a[1].AsInt64, a[2].AsInt64, a[3].AsInt64, a[4].AsInt64, a[5].AsDouble);
        if (year is < -4713 or > 294_276 || month is < 1 or > 12 || day < 1 || day > Calendar.DaysInMonth((int)year, (int)month)
            || hour is < 0 or > 23 || minute is < 0 or > 59 || !(second >= 0 && second < 60))
            return Datum.Null;
        var micros = (hour * Calendar.MicrosPerHour) + (minute * Calendar.MicrosPerMinute) + (long)Math.Round(second * 1e6, MidpointRounding.ToEven);
        var total = ((Int128)Calendar.ToDays((int)year, (int)month, (int)day) * Calendar.MicrosPerDay) + micros;
        return total >= Calendar.MinTimestamp && total <= Calendar.MaxTimestamp ? Int((long)total) : Datum.Null;
    }

    private static Datum ToTimestamp(double seconds)
    {
        if (double.IsNaN(seconds))
            throw Fail("22008", "timestamp cannot be NaN");
        var micros = Math.Round(seconds * 1e6, MidpointRounding.ToEven) - (Calendar.UnixEpochSeconds * 1e6);
        if (!(micros >= Calendar.MinTimestamp && micros <= Calendar.MaxTimestamp))
            throw Fail("22008", "timestamp out of range");
        // Whole seconds and fraction apart, since a double cannot hold both far from the epoch.
        var whole = Math.Floor(seconds);
        return Int((((long)whole - Calendar.UnixEpochSeconds) * Calendar.MicrosPerSecond) + (long)Math.Round((seconds - whole) * 1e6, MidpointRounding.ToEven));
    }

    private static (DateTimeZone? Zone, long Offset) Zone(string name)
    {
        if (TimeText.FindZone(name) is { } zone)
            return (zone, 0);
        if (TimeText.ParseOffset(name) is { } offset)
            return (null, offset);
        throw InvalidParameter($"invalid time zone '{name}'");
    }

    private static long OffsetAt(long utc, (DateTimeZone? Zone, long Offset) zone) => zone.Zone is null ? zone.Offset : TimeText.OffsetAt(utc, zone.Zone);

    private static long ToUtc(long local, (DateTimeZone? Zone, long Offset) zone) => zone.Zone is null ? local - zone.Offset : TimeText.LocalToUtc(local, zone.Zone);

    private static long ZoneOffset(Interval offset) => offset is { Months: 0, Days: 0 }
        ? offset.Micros
        : throw InvalidParameter($"interval time zone must not include months or days: {IntervalText.Format(offset)}");

    private static Datum ZoneRecord(string name, long at)
    {
        var zone = TimeText.FindZone(name) ?? throw InvalidParameter($"invalid time zone '{name}'");
        var interval = zone.GetZoneInterval(TimeText.ToInstant(at));
        return Datum.FromList(ValueArray.Create<Datum>(
        [
            Text(interval.Name),
            Span(new Interval(0, 0, interval.StandardOffset.Seconds * Calendar.MicrosPerSecond)),
            Span(new Interval(0, 0, interval.Savings.Seconds * Calendar.MicrosPerSecond)),
        ]));
    }

    /// <summary>Exactly <c>YYYY-MM-DDThh:mm:ss.sssZ</c>, else null, so that text order is time order.</summary>
    private static Datum ParseIso(string text)
    {
        const string Form = "0000-00-00T00:00:00.000Z";
        if (text.Length != Form.Length)
            return Datum.Null;
        for (var i = 0; i < Form.Length; i++)
        {
            if (Form[i] == '0' ? !char.IsAsciiDigit(text[i]) : text[i] != Form[i])
                return Datum.Null;
        }

        var (year, month, day) = (Part(0, 4), Part(5, 2), Part(8, 2));
        var (hour, minute, second) = (Part(11, 2), Part(14, 2), Part(17, 2));
        if (year == 0 || month is < 1 or > 12 || day < 1 || day > Calendar.DaysInMonth(year, month) || hour > 23 || minute > 59 || second > 59)
            return Datum.Null;
        var seconds = (((hour * 60L) + minute) * 60) + second;
        return Int((Calendar.ToDays(year, month, day) * Calendar.MicrosPerDay) + (seconds * Calendar.MicrosPerSecond) + (Part(20, 3) * 1000L));

        int Part(int at, int length) => int.Parse(text.AsSpan(at, length), System.Globalization.CultureInfo.InvariantCulture);
    }

    private static Datum ToMzTimestamp(long micros)
    {
        var millis = Calendar.FloorDiv(micros, 1000) + (Calendar.UnixEpochSeconds * 1000);
        return millis >= 0 ? Datum.FromUInt64((ulong)millis) : throw OutOfRange($"\"{TimeText.FormatTimestamp(micros, zoned: false)}\" mz_timestamp");
    }
}
