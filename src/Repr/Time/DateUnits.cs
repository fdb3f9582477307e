using System.Collections.Frozen;

namespace Materialize.Repr;

/// <summary>The names of units of time, with their abbreviations and plurals.</summary>
public static class DateUnits
{
    private static readonly FrozenDictionary<string, string> Names = new (string Unit, string Synonyms)[]
    {
        ("millennium", "mil mils millennia millenniums"), ("century", "c cent centuries"), ("decade", "dec decs decades"),
        ("year", "y yr yrs years"), ("quarter", "qtr quarters"), ("month", "mon mons months"), ("week", "w weeks"), ("day", "d days"),
        ("hour", "h hr hrs hours"), ("minute", "m min mins minutes"), ("second", "s sec secs seconds"),
        ("millisecond", "ms msec msecs mseconds milliseconds"), ("microsecond", "us usec usecs useconds microseconds"),
        ("epoch", ""), ("dow", ""), ("isodow", ""), ("doy", ""), ("isoyear", ""),
        ("timezone", ""), ("timezone_hour", ""), ("timezone_minute", ""),
    }.SelectMany(u => u.Synonyms.Split(' ', StringSplitOptions.RemoveEmptyEntries).Append(u.Unit).Select(s => (s, u.Unit)))
        .ToFrozenDictionary(p => p.s, p => p.Unit, StringComparer.OrdinalIgnoreCase);

    /// <summary>The full singular name of a unit, <c>millisecond</c> for <c>ms</c>; null if there is none.</summary>
    public static string? Find(string name) => Names.GetValueOrDefault(name);
}
