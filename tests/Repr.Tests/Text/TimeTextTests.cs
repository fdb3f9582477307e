using Xunit;

namespace Materialize.Repr.Tests;

/// <summary>Expected texts were taken from PostgreSQL 15 (time zone UTC, default styles).</summary>
public class TimeTextTests
{
    [Theory]
    [InlineData("1999-01-08", "1999-01-08")]
    [InlineData("January 8, 1999", "1999-01-08")]
    [InlineData("8-Jan-1999", "1999-01-08")]
    [InlineData("1999 01-08", "1999-01-08")]
    [InlineData("1999-Jan-08", "1999-01-08")]
    [InlineData("19990108", "1999-01-08")]
    [InlineData("0044-03-15 BC", "0044-03-15 BC")]
    [InlineData("2000-02-29", "2000-02-29")]
    [InlineData("4714-11-24 BC", "4714-11-24 BC")]
    public void Dates(string text, string printed) => Assert.Equal(printed, TimeText.FormatDate(TimeText.ParseDate(text)));

    [Theory]
    [InlineData("2004-10-19 10:23:54.123456789", "2004-10-19 10:23:54.123457+00")]
    [InlineData("2004-10-19T10:23:54Z", "2004-10-19 10:23:54+00")]
    [InlineData("2004-10-19 10:23:54+02", "2004-10-19 08:23:54+00")]
    [InlineData("2004-10-19 10:23:54-0530", "2004-10-19 15:53:54+00")]
    [InlineData("2004-10-19 10:23:54 America/New_York", "2004-10-19 14:23:54+00")]
    [InlineData("2004-10-19 10:23 PM", "2004-10-19 22:23:00+00")]
    [InlineData("2004-10-19 24:00:00", "2004-10-20 00:00:00+00")]
    [InlineData("12345-01-01 00:00:00", "12345-01-01 00:00:00+00")]
    [InlineData("epoch", "1970-01-01 00:00:00+00")]
    [InlineData("2021-03-14 02:30:00 America/New_York", "2021-03-14 07:30:00+00")]
    [InlineData("2021-11-07 01:30:00 America/New_York", "2021-11-07 06:30:00+00")]
    public void Timestamps_with_time_zone(string text, string printed) =>
        Assert.Equal(printed, TimeText.FormatTimestamp(TimeText.ParseTimestamp(text, zoned: true), zoned: true));

    [Theory]
    [InlineData("1 year 2 months 3 days 4 hours 5 minutes 6 seconds", "1 year 2 months 3 days 04:05:06")]
    [InlineData("-1 year -2 mons +3 days -04:05:06", "-1 years -2 months +3 days -04:05:06")]
    [InlineData("1-2", "1 year 2 months")]
    [InlineData("1 2:03:04", "1 day 02:03:04")]
    [InlineData("P1Y2M3DT4H5M6S", "1 year 2 months 3 days 04:05:06")]
    [InlineData("1.5 months", "1 month 15 days")]
    [InlineData("1.5 days", "1 day 12:00:00")]
    [InlineData("1.5 years", "1 year 6 months")]
    [InlineData("2 weeks ago", "-14 days")]
    [InlineData("3.25", "00:00:03.25")]
    [InlineData("100 hours", "100:00:00")]
    [InlineData("1 day -1 hours", "1 day -01:00:00")]
    [InlineData("-1 day 1 hour", "-1 days +01:00:00")]
    [InlineData("0 days", "00:00:00")]
    [InlineData("1 century 2 ms", "100 years 00:00:00.002")]
    [InlineData("@ 1 minute", "00:01:00")]
    public void Intervals(string text, string printed) => Assert.Equal(printed, IntervalText.Format(IntervalText.Parse(text)));

    [Theory]
    [InlineData("2021-02-30")]
    [InlineData("2021-13-01")]
    [InlineData("1990-01")]
    [InlineData("")]
    [InlineData("2021-01-01 nowhere/land")]
    [InlineData("294277-01-01 00:00:00")]
    public void Nonsense_is_no_timestamp(string text) => Assert.Throws<TextFormatException>(() => TimeText.ParseTimestamp(text, zoned: false));

    [Theory]
    [InlineData(1e15, "1e+15")]
    [InlineData(123456789012345.0, "123456789012345")]
    [InlineData(0.0001, "0.0001")]
    [InlineData(0.00001, "1e-05")]
    [InlineData(1.1, "1.1")]
    [InlineData(1.7976931348623157e308, "1.7976931348623157e+308")]
    [InlineData(5e-324, "5e-324")]
    [InlineData(-100.0, "-100")]
    public void Doubles(double value, string printed) => Assert.Equal(printed, FloatText.Format(value));

    [Theory]
    [InlineData(1e6f, "1e+06")]
    [InlineData(123456f, "123456")]
    [InlineData(1.2345679e20f, "1.2345679e+20")]
    [InlineData(0.1f, "0.1")]
    public void Singles(float value, string printed) => Assert.Equal(printed, FloatText.Format(value));

    [Fact]
    public void The_calendar_counts_every_day_once()
    {
        var expected = new DateTime(1, 1, 1);
        for (var days = Calendar.ToDays(1, 1, 1); days < Calendar.ToDays(2500, 1, 1); days += 13, expected = expected.AddDays(13))
        {
            Assert.Equal((expected.Year, expected.Month, expected.Day), Calendar.FromDays(days));
            Assert.Equal(days, Calendar.ToDays(expected.Year, expected.Month, expected.Day));
            Assert.Equal((int)expected.DayOfWeek, Calendar.DayOfWeek(days));
            Assert.Equal(System.Globalization.ISOWeek.GetWeekOfYear(expected), Calendar.IsoWeek(days).Week);
        }

        for (var days = Calendar.MinDate; days < Calendar.MaxDate; days += 997)
        {
            var (y, m, d) = Calendar.FromDays(days);
            Assert.Equal(days, Calendar.ToDays(y, m, d));
        }
    }
}
