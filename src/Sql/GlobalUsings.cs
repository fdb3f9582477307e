// The syntax tree shares many nouns with the plans (Query, Join, Explainee…): its nodes are always written with their namespace.
global using Ast = Materialize.Sql.Parser.Ast;
