using System.Text;

namespace Materialize.Repr;

/// <summary>Ranges: <c>[1,5)</c>, <c>(,2020-01-01]</c>, <c>empty</c>; and the canonical form that makes equal ranges equal.</summary>
public static class RangeText
{
    private static readonly RangeDatum Empty = new(true, Datum.Null, false, Datum.Null, false);

    public static string Format(SqlType type, RangeDatum range)
    {
        if (range.IsEmpty)
            return "empty";
        var text = new StringBuilder();
        text.Append(range.LowerInclusive ? '[' : '(');
        Bound(range.Lower);
        text.Append(',');
        Bound(range.Upper);
        return text.Append(range.UpperInclusive ? ']' : ')').ToString();

        void Bound(Datum value)
        {
            if (value.IsNull)
                return;
            var bound = DatumText.Format(type.Element!, value);
            if (bound.AsSpan().IndexOfAny("()[],\"\\ \t\n") < 0 && bound.Length > 0)
                text.Append(bound);
            else
                text.Append('"').Append(bound.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\"\"", StringComparison.Ordinal)).Append('"');
        }
    }

    /// <exception cref="TextFormatException">Not a range of this type.</exception>
    public static Datum Parse(SqlType type, string text)
    {
        var body = text.Trim();
        if (body.Equals("empty", StringComparison.OrdinalIgnoreCase))
            return Datum.FromRange(Empty);
        if (body.Length < 3 || body[0] is not ('[' or '('))
            throw Bad(text, "Missing left parenthesis or bracket");
        var at = 1;
        var lower = Bound(type, text, body, ref at, ",");
        if (at >= body.Length || body[at] != ',')
            throw Bad(text, "Missing comma after lower bound");
        at++;
        var upper = Bound(type, text, body, ref at, ")]");
        if (at >= body.Length || body[at] is not (')' or ']'))
            throw Bad(text, body.AsSpan(at).Contains(',') ? "Too many commas" : "Missing right parenthesis or bracket");
        if (at != body.Length - 1)
            throw Bad(text, "Junk after right parenthesis or bracket");
        return Datum.FromRange(Canonical(type.Element!, lower, body[0] == '[', upper, body[at] == ']'));
    }

    /// <summary>
    /// The range in its one form: empty if nothing is in it, <c>[a,b)</c> for discrete elements, infinite bounds exclusive.
    /// </summary>
    /// <exception cref="TextFormatException">The lower bound is above the upper, or a bound cannot be moved by one.</exception>
    public static RangeDatum Canonical(SqlType element, Datum lower, bool lowerInclusive, Datum upper, bool upperInclusive)
    {
        if (!lower.IsNull && !upper.IsNull)
        {
            var order = DatumOrder.Compare(element, lower, upper);
            if (order > 0)
                throw new TextFormatException("22000", "range lower bound must be less than or equal to range upper bound");
            if (order == 0 && !(lowerInclusive && upperInclusive))
                return Empty;
        }

        if (element.Kind is ScalarKind.Int32 or ScalarKind.Int64 or ScalarKind.Date)
        {
            if (!lower.IsNull && !lowerInclusive)
                (lower, lowerInclusive) = (Next(element, lower), true);
            if (!upper.IsNull && upperInclusive)
                (upper, upperInclusive) = (Next(element, upper), false);
            if (!lower.IsNull && !upper.IsNull && DatumOrder.Compare(element, lower, upper) >= 0)
                return Empty;
        }

        return new RangeDatum(false, lower, !lower.IsNull && lowerInclusive, upper, !upper.IsNull && upperInclusive);
    }

    private static Datum Next(SqlType element, Datum value)
    {
        var (max, name) = element.Kind switch
        {
            ScalarKind.Int32 => (int.MaxValue, "integer"),
            ScalarKind.Date => (Calendar.MaxDate, "date"),
            _ => (long.MaxValue, "bigint"),
        };
        return value.AsInt64 < max
            ? Datum.FromInt64(value.AsInt64 + 1)
            : throw new TextFormatException(TextFormatException.OutOfRange, $"{name} out of range");
    }

    private static Datum Bound(SqlType type, string text, string body, ref int at, string stop)
    {
        var word = new StringBuilder();
        var any = false;
        var quoted = false;
        while (at < body.Length && (quoted || !(stop.Contains(body[at]) || body[at] is ',' or ')' or ']' or '(' or '[')))
        {
            var c = body[at++];
            if (c == '\\' && at < body.Length)
            {
                word.Append(body[at++]);
                any = true;
            }
            else if (c == '"')
            {
                any = true;
                if (quoted && at < body.Length && body[at] == '"')
                    word.Append(body[at++]);
                else
                    quoted = !quoted;
            }
            else
            {
                word.Append(c);
            }
        }

        if (!any && word.Length == 0)
            return Datum.Null;
        try
        {
            return DatumText.Parse(type.Element!, word.ToString());
        }
        catch (TextFormatException e)
        {
            throw Bad(text, e.Message);
        }
    }

    private static TextFormatException Bad(string text, string why) => TextFormatException.Invalid("range", text, why);
}
