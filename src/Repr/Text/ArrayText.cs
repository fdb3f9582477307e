using System.Globalization;
using System.Text;
using Materialize.Core.Collections;

namespace Materialize.Repr;

/// <summary>Arrays: <c>{1,2,NULL}</c>, <c>{{a,b},{c,d}}</c>, <c>[0:1]={1,2}</c> where bounds are not 1.</summary>
public static class ArrayText
{
    public static string Format(SqlType type, ArrayDatum array)
    {
        var text = new StringBuilder();
        if (array.Dimensions.Any(d => d.LowerBound != 1))
        {
            foreach (var d in array.Dimensions)
                text.Append(CultureInfo.InvariantCulture, $"[{d.LowerBound}:{d.LowerBound + d.Length - 1}]");
            text.Append('=');
        }

        if (array.Dimensions.Count == 0)
            return text.Append("{}").ToString();
        var next = 0;
        Dimension(0);
        return text.ToString();

        void Dimension(int depth)
        {
            text.Append('{');
            for (var i = 0; i < array.Dimensions[depth].Length; i++)
            {
                if (i > 0)
                    text.Append(',');
                if (depth + 1 < array.Dimensions.Count)
                    Dimension(depth + 1);
                else
                    ContainerText.AppendElement(text, type.Element!, array.Elements[next++], "{},\"\\");
            }

            text.Append('}');
        }
    }

    /// <exception cref="TextFormatException">Not an array of this type.</exception>
    public static Datum Parse(SqlType type, string text)
    {
        var parser = new Parser(type.Element!, text);
        return Datum.FromArray(parser.Run());
    }

    private sealed class Parser(SqlType element, string text)
    {
        private readonly List<int> _lengths = [];
        private readonly List<Datum> _elements = [];
        private int _at;
        private int _leafDepth = -1;

        public ArrayDatum Run()
        {
            Space();
            if (Peek == '[')
                throw Bad("Specifying array lower bounds is not supported");
            if (Peek != '{')
                throw Bad("Array value must start with \"{\"");
            Level(0);
            Space();
            if (_at < text.Length)
                throw Bad("Junk after closing right brace.");
            if (_elements.Count == 0)
            {
                return new ArrayDatum([], []);
            }

            return new ArrayDatum([.. _lengths.Select(l => new ArrayDimension(1, l))], _elements.ToValueArray());
        }

        private char Peek => _at < text.Length ? text[_at] : '\0';

        private void Space()
        {
            while (_at < text.Length && char.IsWhiteSpace(text[_at]))
                _at++;
        }

        private void Level(int depth)
        {
            if (depth >= 6)
                throw new TextFormatException("54000", "number of array dimensions (7) exceeds the maximum allowed (6)");
            _at++;
            Space();
            var count = 0;
            if (Peek == '}')
            {
                _at++;
                Close(depth, 0);
                return;
            }

            while (true)
            {
                Space();
                if (_at >= text.Length)
                    throw Bad("Unexpected end of input.");
                switch (Peek)
                {
                    case '{':
                        if (_leafDepth >= 0 && _leafDepth <= depth)
                            throw Mismatch();
                        Level(depth + 1);
                        break;
                    case '}' or ',':
                        throw Bad($"Unexpected \"{Peek}\" character.");
                    default:
                        if (_leafDepth < 0 && _lengths.Count <= depth + 1)
                            _leafDepth = depth;
                        if (_leafDepth != depth || _lengths.Count > depth + 1)
                            throw Mismatch();
                        Leaf();
                        break;
                }

                count++;
                Space();
                if (_at >= text.Length)
                    throw Bad("Unexpected end of input.");
                if (Peek == ',')
                {
                    _at++;
                    Space();
                    if (Peek == '}')
                        throw Bad("Unexpected \"}\" character.");
                    continue;
                }

                if (Peek == '}')
                {
                    _at++;
                    Close(depth, count);
                    return;
                }

                throw Bad(Peek == '{' ? "Unexpected \"{\" character." : "Unexpected array element.");
            }
        }

        private void Close(int depth, int count)
        {
            while (_lengths.Count <= depth)
                _lengths.Add(-1);
            if (_lengths[depth] < 0)
                _lengths[depth] = count;
            else if (_lengths[depth] != count)
                throw Mismatch();
        }

        private void Leaf()
        {
            var word = new StringBuilder();
            var quoted = false;
            if (Peek == '"')
            {
                quoted = true;
                _at++;
                while (true)
                {
                    if (_at >= text.Length)
                        throw Bad("Unexpected end of input.");
                    var c = text[_at++];
                    if (c == '"')
                        break;
                    if (c == '\\')
                        c = _at < text.Length ? text[_at++] : throw Bad("Unexpected end of input.");
                    word.Append(c);
                }
            }
            else
            {
                var escaped = false;
                while (_at < text.Length && text[_at] is not (',' or '{' or '}' or '"'))
                {
                    var c = text[_at++];
                    if (c == '\\')
                    {
                        escaped = true;
                        c = _at < text.Length ? text[_at++] : throw Bad("Unexpected end of input.");
                    }

                    word.Append(c);
                }

                if (Peek is '{' or '"')
                    throw Bad("Unexpected array element.");
                if (_at >= text.Length)
                    throw Bad(escaped ? "unterminated element" : "Unexpected end of input.");
                quoted = escaped;
            }

            var value = quoted ? word.ToString() : word.ToString().TrimEnd();
            _elements.Add(!quoted && value.Equals("null", StringComparison.OrdinalIgnoreCase) ? Datum.Null : DatumText.Parse(element, value));
        }

        private TextFormatException Mismatch() => Bad("Multidimensional arrays must have sub-arrays with matching dimensions.");

        private TextFormatException Bad(string why) => TextFormatException.Invalid("array", text, why);
    }
}
