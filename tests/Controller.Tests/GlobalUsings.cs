global using Materialize.Controller.Tests.Support;
global using Materialize.Expr;
global using Materialize.Protocol;
global using Materialize.Repr;
global using Xunit;
