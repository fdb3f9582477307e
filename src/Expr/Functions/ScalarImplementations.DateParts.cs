using Materialize.Repr;

namespace Materialize.Expr.Functions;

internal static partial class ScalarImplementations
{
    private static void AddDateParts(Dictionary<string, ScalarImplementation> table)
    {
        foreach (var (type, part) in (ReadOnlySpan<(string, Func<string, Datum, Numeric>)>)
        [
            ("interval", IntervalPart), ("time", TimePart), ("date", DatePart),
            ("timestamp", (unit, value) => TimestampPart(unit, value, "timestamp")),
            ("timestamptz", (unit, value) => TimestampPart(unit, value, "timestamp with time zone")),
        ])
        {
            table[$"extract_{type}"] = (a, _, _) => Datum.FromNumeric(part(Unit(a[0].AsString), a[1]));
            table[$"date_part_{type}"] = (a, _, _) => Datum.FromDouble(part(Unit(a[0].AsString), a[1]).ToDouble());
        }

        table["date_trunc_timestamp"] = table["date_trunc_timestamptz"] = (a, _, _) => Int(Truncate(Unit(a[0].AsString), a[1].AsInt64));
        table["date_trunc_interval"] = (a, _, _) => Span(Truncate(Unit(a[0].AsString), a[1].AsInterval));
        table["datediff_timestamp"] = table["datediff_timestamptz"] = (a, _, _) => Int(DateDiff(Unit(a[0].AsString), a[1].AsInt64, a[2].AsInt64));
        table["datediff_date"] = (a, _, _) => Int(DateDiff(Unit(a[0].AsString), a[1].AsInt64 * Calendar.MicrosPerDay, a[2].AsInt64 * Calendar.MicrosPerDay));
        table["datediff_time"] = (a, _, _) => Int(DateDiff(Unit(a[0].AsString), a[1].AsInt64, a[2].AsInt64));
        table["to_char_timestamp"] = (a, _, _) => Text(DateFormat.Format(a[0].AsInt64, a[1].AsString, zoned: false));
        table["to_char_timestamptz"] = (a, _, _) => Text(DateFormat.Format(a[0].AsInt64, a[1].AsString, zoned: true));
    }

    private static string Unit(string name) => DateUnits.Find(name) ?? throw InvalidParameter($"unit '{name}' not recognized");

    private static EvalException Unsupported(string unit, string type) => Fail("0A000", $"unit '{unit}' not supported for type {type}");

    private static Numeric Micros(Int128 micros, int scale)
    {
        Numeric.FromBigInteger(micros, scale, out var result);
        return result;
    }

    private static Numeric ClockPart(string unit, long micros, string type) => unit switch
    {
        "hour" => Numeric.FromInt64(micros / Calendar.MicrosPerHour),
        "minute" => Numeric.FromInt64(micros / Calendar.MicrosPerMinute % 60),
        "second" => Micros(micros % Calendar.MicrosPerMinute, 6),
        "millisecond" => Micros(micros % Calendar.MicrosPerMinute, 3),
        "microsecond" => Numeric.FromInt64(micros % Calendar.MicrosPerMinute),
        _ => throw Unsupported(unit, type),
    };

    private static Numeric TimePart(string unit, Datum value) =>
        unit == "epoch" ? Micros(value.AsInt64, 6) : ClockPart(unit, value.AsInt64, "time");

    private static Numeric IntervalPart(string unit, Datum value)
    {
        var x = value.AsInterval;
        var years = x.Months / 12;
        return unit switch
        {
            "millennium" => Numeric.FromInt64(years / 1000),
            "century" => Numeric.FromInt64(years / 100),
            "decade" => Numeric.FromInt64(years / 10),
            "year" => Numeric.FromInt64(years),
            "quarter" => Numeric.FromInt64((x.Months % 12 / 3) + 1),
            "month" => Numeric.FromInt64(x.Months % 12),
            "day" => Numeric.FromInt64(x.Days),
            // A year is 365.25 days here, a month outside of whole years 30.
            "epoch" => Micros(((Int128)years * 31_557_600_000_000) + ((Int128)(x.Months % 12) * 30 * Calendar.MicrosPerDay) + ((Int128)x.Days * Calendar.MicrosPerDay) + x.Micros, 6),
            _ => ClockPart(unit, x.Micros, "interval"),
        };
    }

    private static Numeric DatePart(string unit, Datum value)
    {
        if (unit is "hour" or "minute" or "second" or "millisecond" or "microsecond")
            throw Unsupported(unit, "date");
        return TimestampPart(unit, Datum.FromInt64(value.AsInt64 * Calendar.MicrosPerDay), "date");
    }

    private static Numeric TimestampPart(string unit, Datum value, string type)
    {
        var (days, micros) = Calendar.Split(value.AsInt64);
        var (year, month, day) = Calendar.FromDays(days);
        // Years before 1 count −1, −2…: there is no year zero in SQL.
        var shown = year > 0 ? year : year - 1;
        return unit switch
        {
            "millennium" => Numeric.FromInt64(CountOf(year, 1000)),
            "century" => Numeric.FromInt64(CountOf(year, 100)),
            "decade" => Numeric.FromInt64(Calendar.FloorDiv(year, 10)),
            "year" => Numeric.FromInt64(shown),
            "isoyear" => Numeric.FromInt64(Calendar.IsoWeek(days).Year is var iso && iso > 0 ? iso : iso - 1),
            "quarter" => Numeric.FromInt64(((month - 1) / 3) + 1),
            "month" => Numeric.FromInt64(month),
            "week" => Numeric.FromInt64(Calendar.IsoWeek(days).Week),
            "day" => Numeric.FromInt64(day),
            "dow" => Numeric.FromInt64(Calendar.DayOfWeek(days)),
            "isodow" => Numeric.FromInt64(Calendar.DayOfWeek(days) is var dow && dow == 0 ? 7 : dow),
            "doy" => Numeric.FromInt64(Calendar.DayOfYear(days)),
            "epoch" => Micros(value.AsInt64 + ((Int128)Calendar.UnixEpochSeconds * Calendar.MicrosPerSecond), 6),
            _ => ClockPart(unit, micros, type),
        };
    }

    /// <summary>Which century or millennium a year belongs to: the first begins with year 1, and the one before it is number −1.</summary>
    /// <param name="year">Year 0 being 1 BC.</param>
    private static long CountOf(int year, int width) => year > 0 ? (year + width - 1) / width : (year - width) / width;

    private static long Truncate(string unit, long timestamp)
    {
        var (days, micros) = Calendar.Split(timestamp);
        var (year, month, day) = Calendar.FromDays(days);
        var clock = unit switch
        {
            "microsecond" => 1,
            "millisecond" => 1000,
            "second" => Calendar.MicrosPerSecond,
            "minute" => Calendar.MicrosPerMinute,
            "hour" => Calendar.MicrosPerHour,
            _ => 0,
        };
        if (clock > 0)
            return timestamp - (micros % clock);
        var start = unit switch
        {
            "day" => Calendar.ToDays(year, month, day),
            "week" => days - (int)Calendar.FloorMod(Calendar.DayOfWeek(days) + 6, 7),
            "month" => Calendar.ToDays(year, month, 1),
            "quarter" => Calendar.ToDays(year, ((month - 1) / 3 * 3) + 1, 1),
            "year" => Calendar.ToDays(year, 1, 1),
            "decade" => Calendar.ToDays(Calendar.FloorDiv(year, 10) * 10, 1, 1),
            "century" => Calendar.ToDays((Calendar.FloorDiv(year - 1, 100) * 100) + 1, 1, 1),
            "millennium" => Calendar.ToDays((Calendar.FloorDiv(year - 1, 1000) * 1000) + 1, 1, 1),
            _ => throw Unsupported(unit, "timestamp"),
        };
        return Stamp((Int128)start * Calendar.MicrosPerDay).AsInt64;
    }

    private static Interval Truncate(string unit, Interval x) => unit switch
    {
        "microsecond" => x,
        "millisecond" => x with { Micros = x.Micros - (x.Micros % 1000) },
        "second" => x with { Micros = x.Micros - (x.Micros % Calendar.MicrosPerSecond) },
        "minute" => x with { Micros = x.Micros - (x.Micros % Calendar.MicrosPerMinute) },
        "hour" => x with { Micros = x.Micros - (x.Micros % Calendar.MicrosPerHour) },
        "day" => x with { Micros = 0 },
        "month" => new Interval(x.Months, 0, 0),
        "quarter" => new Interval(x.Months - (x.Months % 3), 0, 0),
        "year" => new Interval(x.Months - (x.Months % 12), 0, 0),
        "decade" => new Interval(x.Months - (x.Months % 120), 0, 0),
        "century" => new Interval(x.Months - (x.Months % 1200), 0, 0),
        "millennium" => new Interval(x.Months - (x.Months % 12_000), 0, 0),
        _ => throw Unsupported(unit, "interval"),
    };

    /// <summary>
    /// How many units lie between two moments, negative if the second is earlier: whole ones of those that have one length, and of the others as many as lie between
    /// the ones that the moments are in.
    /// </summary>
    private static long DateDiff(string unit, long from, long to)
    {
        var x = Calendar.FromDays(Calendar.Split(from).Days);
        var y = Calendar.FromDays(Calendar.Split(to).Days);
        return unit switch
        {
            "microsecond" => to - from,
            "millisecond" => Steps(1000),
            "second" => Steps(Calendar.MicrosPerSecond),
            "minute" => Steps(Calendar.MicrosPerMinute),
            "hour" => Steps(Calendar.MicrosPerHour),
            "day" => Steps(Calendar.MicrosPerDay),
            "week" => Steps(7 * Calendar.MicrosPerDay),
            "month" => Months(y) - Months(x),
            "quarter" => Calendar.FloorDiv(Months(y), 3) - Calendar.FloorDiv(Months(x), 3),
            "year" => y.Year - x.Year,
            "decade" => Calendar.FloorDiv(y.Year, 10) - Calendar.FloorDiv(x.Year, 10),
            "century" => CountOf(y.Year, 100) - CountOf(x.Year, 100),
            "millennium" => CountOf(y.Year, 1000) - CountOf(x.Year, 1000),
            _ => throw Unsupported(unit, "timestamp"),
        };

        long Steps(long width) => (long)(((Int128)to - from) / width);

        static long Months((int Year, int Month, int Day) d) => (d.Year * 12L) + d.Month - 1;
    }
}
