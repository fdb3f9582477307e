namespace Materialize.Sql;

/// <summary>The SQLSTATE codes that statements end with. Names follow PostgreSQL's appendix A.</summary>
/// <remarks>
/// Name and type resolution errors use <see cref="InternalError"/>, as Materialize does: clients of it match on texts
/// (docs: reference of SQLSTATE codes). Codes that drivers act on keep their Postgres value.
/// </remarks>
public static class SqlState
{
    public const string SuccessfulCompletion = "00000";
    public const string Warning = "01000";
    public const string PrivilegeNotRevoked = "01006";
    public const string NoData = "02000";
    public const string ProtocolViolation = "08P01";
    public const string FeatureNotSupported = "0A000";
    public const string DataException = "22000";
    public const string NumericValueOutOfRange = "22003";
    public const string InvalidParameterValue = "22023";
    public const string InvalidTextRepresentation = "22P02";
    public const string BadCopyFileFormat = "22P04";
    public const string NotNullViolation = "23502";
    public const string InvalidTransactionState = "25000";
    public const string ActiveSqlTransaction = "25001";
    public const string ReadOnlySqlTransaction = "25006";
    public const string NoActiveSqlTransaction = "25P01";
    public const string InFailedSqlTransaction = "25P02";
    public const string InvalidSqlStatementName = "26000";
    public const string DependentObjectsStillExist = "2BP01";
    public const string InvalidCursorName = "34000";
    public const string InvalidSchemaName = "3F000";
    public const string SerializationFailure = "40001";
    public const string InsufficientPrivilege = "42501";
    public const string SyntaxError = "42601";
    public const string DuplicateColumn = "42701";
    public const string UndefinedObject = "42704";
    public const string DuplicateObject = "42710";
    public const string UndefinedParameter = "42P02";
    public const string DuplicateCursor = "42P03";
    public const string DuplicateDatabase = "42P04";
    public const string DuplicatePreparedStatement = "42P05";
    public const string DuplicateSchema = "42P06";
    public const string DuplicateTable = "42P07";
    public const string ConfigurationLimitExceeded = "53000";
    public const string ProgramLimitExceeded = "54000";
    public const string ObjectNotInPrerequisiteState = "55000";
    public const string CantChangeRuntimeParameter = "55P02";
    public const string QueryCanceled = "57014";
    public const string SystemError = "58000";
    public const string InternalError = "XX000";
}
