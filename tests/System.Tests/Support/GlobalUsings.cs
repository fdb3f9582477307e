global using Materialize.SystemTests.Support;
global using Npgsql;
global using Xunit;
