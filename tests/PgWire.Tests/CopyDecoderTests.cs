using System.Diagnostics;
using System.Text;
using Materialize.Interchange;
using Materialize.Repr;

namespace Materialize.PgWire.Tests;

public sealed class CopyDecoderTests
{
    private static readonly RelationDesc Columns =
        RelationDesc.Of(("a", SqlType.Int32.Nullable()), ("b", SqlType.String.Nullable()), ("c", SqlType.String.Nullable()));

    [Theory]
    [InlineData("1\tx\ty\n", "1\tx\ty\n")]
    [InlineData("1\tx\ty", "1\tx\ty\n")]
    [InlineData("1\tx\ty\r\n", "1\tx\ty\n")]
    [InlineData("\\N\t\\N\t\\N\n", "\\N\t\\N\t\\N\n")]
    [InlineData("1\t\t\n", "1\t\t\n")]
    [InlineData("1\ta\\tb\\\\\\n\t\\x41\\101\\q\n", "1\ta\\tb\\\\\\n\tAAq\n")]
    [InlineData("1\tbroken\\\nline\tz\n", "1\tbroken\\nline\tz\n")]
    [InlineData("1\tx\ty\n\\.\ngarbage", "1\tx\ty\n")]
    [InlineData("1\t\\\\N\t\\N\n", "1\t\\\\N\t\\N\n")]
    public void Text(string data, string expected) => Assert.Equal(expected, RoundTrip(data, CopyTextOptions.TextDefault));

    [Theory]
    [InlineData("1,x,y\n", "1\tx\ty\n")]
    [InlineData("1,\"a,b\",\"c\"\"d\"\n", "1\ta,b\tc\"d\n")]
    [InlineData("1,\"two\nlines\",y\n2,x,y\n", "1\ttwo\\nlines\ty\n2\tx\ty\n")]
    [InlineData(",,\n", "\\N\t\\N\t\\N\n")]
    [InlineData("1,\"\",y\n", "1\t\\N\ty\n")]
    [InlineData("1,a\"b,\"open\n", "1\ta\"b\topen\\n\n")]
    [InlineData("1,x,\"y\n\\.\n2,x,y\n", "1\tx\ty\n")]
    [InlineData("1,x,y\r\n2,x,y\r\n", "1\tx\ty\n2\tx\ty\n")]
    public void Csv(string data, string expected) => Assert.Equal(expected, RoundTrip(data, CopyTextOptions.CsvDefault));

    [Fact]
    public void Options_are_heeded()
    {
        Assert.Equal("1\t\\N\ty\n", RoundTrip("1|$|y\n", CopyTextOptions.TextDefault with { Delimiter = '|', NullMarker = "$" }));
        Assert.Equal("1\tit's\ty\n", RoundTrip("a;b;c\n1;'it\\'s';y\n", CopyTextOptions.CsvDefault with { Delimiter = ';', Quote = '\'', Escape = '\\', Header = true }));
        Assert.Equal("\\N\t\\N\ttext\n", RoundTrip("\t\ttext\n", CopyTextOptions.TextDefault with { NullMarker = "" }));
    }

    /// <summary>Every way to cut data into three pieces gives what one piece gives.</summary>
    [Theory]
    [InlineData("1\ta\\\nb\t\\N\r\n2\t\\\\\tc\n\\.\n", CopyTextFormat.Text)]
    [InlineData("1,\"a\n\"\"b\",x\r\n2,\"q\",\"\n\"\n\"3\",,\"\n\\.\n4,x,y", CopyTextFormat.Csv)]
    [InlineData("1,\"a\"b\",c\n2,\"\"\"\",\"\"\n3,,\"x\n\\.\n", CopyTextFormat.Csv)]
    public void Cuts_do_not_matter(string data, CopyTextFormat format)
    {
        var options = format == CopyTextFormat.Csv ? CopyTextOptions.CsvDefault : CopyTextOptions.TextDefault;
        var expected = RoundTrip(data, options);
        var bytes = Encoding.UTF8.GetBytes(data);
        for (var i = 0; i <= bytes.Length; i++)
        {
            for (var j = i; j <= bytes.Length; j++)
            {
                var decoder = new CopyDecoder(Columns, options, 1000);
                decoder.Feed(bytes.AsSpan(0, i));
                decoder.Feed(bytes.AsSpan(i, j - i));
                decoder.Feed(bytes.AsSpan(j));
                decoder.Finish();
                Assert.Equal(expected, CopyText.Encode(Columns, CopyText.Take(decoder)));
            }
        }
    }

    [Theory]
    [InlineData("1\tx\n", "22P04", "missing data for column \"c\"", "line 1")]
    [InlineData("1\tx\ty\tz\n", "22P04", "extra data after last expected column", "line 1")]
    [InlineData("1\tx\ty\n\n", "22P02", "invalid input syntax for type integer: cannot parse integer from empty string: \"\"", "line 2, column a: \"\"")]
    [InlineData("1\tx\ty\nfoo\tx\ty\n", "22P02", null, "line 2, column a: \"foo\"")]
    public void Errors_tell_where(string data, string sqlState, string? message, string context)
    {
        var e = Assert.Throws<InterchangeException>(() => CopyText.Decode(Columns, data));
        Assert.Equal((sqlState, context), (e.SqlState, e.Context));
        if (message is not null)
            Assert.Equal(message, e.Message);
    }

    [Fact]
    public void A_null_where_none_may_be_is_refused()
    {
        var columns = RelationDesc.Of(("a", SqlType.Int32.Nullable(false)));
        Assert.Equal("23502", Assert.Throws<InterchangeException>(() => CopyText.Decode(columns, "\\N\n")).SqlState);
    }

    [Fact]
    public void An_endless_line_is_refused()
    {
        var decoder = new CopyDecoder(Columns, CopyTextOptions.TextDefault, 1000);
        Assert.Equal("54000", Assert.Throws<InterchangeException>(() =>
        {
            for (var i = 0; i < 100; i++)
                decoder.Feed(new byte[100].AsSpan());
        }).SqlState);
    }

    [Fact]
    public void Rows_are_canonical()
    {
        var columns = RelationDesc.Of(("a", SqlType.Int32.Nullable()), ("n", SqlType.Numeric.Nullable(false)), ("s", SqlType.String.Nullable()), ("t", SqlType.String.Nullable(false)));
        var rows = CopyText.Decode(columns, "258\t-1.50\t\\N\tab\n");

        // Null bitmap, a, n, end of s, end of t, "ab".
        byte[] numeric = [15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0];
        Assert.Equal([0b10, 2, 1, 0, 0, .. numeric, 37, 0, 0, 0, 39, 0, 0, 0, (byte)'a', (byte)'b'], rows[0]);
    }

    private static string RoundTrip(string data, CopyTextOptions options) => CopyText.Encode(Columns, CopyText.Decode(Columns, data, options));
}
