using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Materialize.Core.Order;

namespace Materialize.Repr;

/// <summary>
/// The time of an update: milliseconds. In the <c>EpochMilliseconds</c> timeline they count from 1970-01-01 UTC; in other timelines
/// they are whatever the source says. Totally ordered, unsigned.
/// </summary>
public readonly record struct Timestamp(ulong Millis) : ILattice<Timestamp>, IComparable<Timestamp>, IComparable, ISpanFormattable
{
    /// <summary>The least time; every collection starts at it.</summary>
    public static readonly Timestamp MinValue = new(0);

    /// <summary>The greatest time. Nothing is after it, so <see cref="StepForward"/> refuses it.</summary>
    public static readonly Timestamp MaxValue = new(ulong.MaxValue);

    static Timestamp ILattice<Timestamp>.Minimum => MinValue;

    public static bool LessEqual(Timestamp a, Timestamp b) => a.Millis <= b.Millis;

    /// <summary>The later of two times.</summary>
    public static Timestamp Join(Timestamp a, Timestamp b) => a.Millis >= b.Millis ? a : b;

    /// <summary>The earlier of two times.</summary>
    public static Timestamp Meet(Timestamp a, Timestamp b) => a.Millis <= b.Millis ? a : b;

    public static bool operator <(Timestamp a, Timestamp b) => a.Millis < b.Millis;

    public static bool operator >(Timestamp a, Timestamp b) => a.Millis > b.Millis;

    public static bool operator <=(Timestamp a, Timestamp b) => a.Millis <= b.Millis;

    public static bool operator >=(Timestamp a, Timestamp b) => a.Millis >= b.Millis;

    /// <summary>The next time.</summary>
    /// <exception cref="OverflowException">This is <see cref="MaxValue"/>.</exception>
    public Timestamp StepForward() => new(checked(Millis + 1));

    /// <summary>The next time, or false at <see cref="MaxValue"/>.</summary>
    public bool TryStepForward(out Timestamp next)
    {
        next = new Timestamp(unchecked(Millis + 1));
        return Millis != ulong.MaxValue;
    }

    /// <summary>The time before this one, or null at <see cref="MinValue"/>.</summary>
    public Timestamp? StepBack() => Millis == 0 ? null : new Timestamp(Millis - 1);

    /// <summary>The time <paramref name="millis"/> later, or <see cref="MaxValue"/> where that overflows.</summary>
    public Timestamp SaturatingAdd(ulong millis) => Millis > ulong.MaxValue - millis ? MaxValue : new Timestamp(Millis + millis);

    /// <summary>The time <paramref name="millis"/> earlier, or <see cref="MinValue"/> where there is none.</summary>
    public Timestamp SaturatingSub(ulong millis) => Millis < millis ? MinValue : new Timestamp(Millis - millis);

    /// <summary>The <c>EpochMilliseconds</c> time of an instant; instants before 1970 give <see cref="MinValue"/>.</summary>
    public static Timestamp FromDateTimeOffset(DateTimeOffset instant) => new((ulong)Math.Max(0, instant.ToUnixTimeMilliseconds()));

    public int CompareTo(Timestamp other) => Millis.CompareTo(other.Millis);

    public int CompareTo(object? obj) => obj switch
    {
        null => 1,
        Timestamp other => CompareTo(other),
        _ => throw new ArgumentException("not a Timestamp", nameof(obj)),
    };

    /// <summary>Decimal digits, as users see times in <c>mz_now()</c> and <c>AS OF</c>.</summary>
    public override string ToString() => Millis.ToString(CultureInfo.InvariantCulture);

    public string ToString(string? format, IFormatProvider? formatProvider) => Millis.ToString(format, formatProvider);

    public bool TryFormat(Span<char> destination, out int charsWritten, ReadOnlySpan<char> format, IFormatProvider? provider) =>
        Millis.TryFormat(destination, out charsWritten, format, provider);

    /// <exception cref="FormatException">Not a decimal number below 2^64.</exception>
    public static Timestamp Parse(ReadOnlySpan<char> text) =>
        TryParse(text, out var time) ? time : throw new FormatException($"invalid timestamp: \"{text}\"");

    public static bool TryParse(ReadOnlySpan<char> text, [MaybeNullWhen(false)] out Timestamp time)
    {
        var ok = ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var millis);
        time = new Timestamp(millis);
        return ok;
    }
}
