using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

/// <summary>A statement of a text.</summary>
/// <param name="Statement">Its tree; spans are offsets into the whole text, not into <paramref name="Sql"/>.</param>
/// <param name="Sql">Its own text: no surrounding blanks, comments or semicolon.</param>
/// <param name="Offset">UTF-16 offset of <paramref name="Sql"/> in the whole text.</param>
public sealed record ParsedStatement(Statement Statement, string Sql, int Offset);
