namespace Materialize.Sql.Parser.Ast;

/// <summary>
/// One option of a WITH list, a connection, a cluster, a format…: <c>NAME [=] value</c>. The parser only lets through names its statement knows;
/// which of them a kind of object accepts, and the type of the value, is the planner's check.
/// </summary>
/// <param name="Name">Upper-case words joined by one space: <c>RETAIN HISTORY</c>. For open option lists (FEATURES, EXPLAIN WITH) the words as written, upper-cased.</param>
/// <param name="Value">Null when only the name is written, meaning true.</param>
public sealed record SqlOption(string Name, OptionValue? Value) : AstNode;

/// <summary>The value of an option.</summary>
public abstract record OptionValue : AstNode
{
    private OptionValue() { }   // closed

    /// <summary>A literal: string, number (with a sign: the text starts with <c>-</c>), boolean, NULL, interval, hex.</summary>
    public sealed record Literal(Expr Value) : OptionValue;

    /// <summary>A bare name: <c>json</c>, <c>a.b.c</c>, <c>[u1 AS a.b.c]</c>; a word as in <c>FORMAT = parquet</c> arrives so too.</summary>
    public sealed record Name(ObjectName Value) : OptionValue;

    /// <summary><c>SECRET name</c>.</summary>
    public sealed record Secret(ObjectName Value) : OptionValue;

    /// <summary><c>(a, b)</c> or <c>[a, b]</c>.</summary>
    public sealed record Sequence(AstList<OptionValue> Items) : OptionValue;

    /// <summary><c>MAP['k' => v, …]</c>, ordered as written.</summary>
    public sealed record Map(AstList<OptionMapEntry> Entries) : OptionValue;

    /// <summary>A type, as ELEMENT TYPE takes.</summary>
    public sealed record Type(DataType Value) : OptionValue;

    /// <summary>An expression, as PARTITION BY of a sink takes.</summary>
    public sealed record Expression(Expr Value) : OptionValue;

    /// <summary><c>FOR 'd'</c>, as RETAIN HISTORY takes.</summary>
    public sealed record RetainHistoryFor(Expr Value) : OptionValue;

    /// <summary>REFRESH ON COMMIT.</summary>
    public sealed record RefreshOnCommit : OptionValue;

    /// <summary>REFRESH AT CREATION.</summary>
    public sealed record RefreshAtCreation : OptionValue;

    /// <summary>REFRESH AT e.</summary>
    public sealed record RefreshAt(Expr Time) : OptionValue;

    /// <summary>REFRESH EVERY interval [ALIGNED TO e].</summary>
    public sealed record RefreshEvery(IntervalValue Interval, Expr? AlignedTo) : OptionValue;

    /// <summary>SCHEDULE MANUAL.</summary>
    public sealed record ScheduleManual : OptionValue;

    /// <summary>SCHEDULE ON REFRESH [( HYDRATION TIME ESTIMATE = 'd' )].</summary>
    public sealed record ScheduleOnRefresh(Expr? HydrationTimeEstimate) : OptionValue;

    /// <summary>WAIT FOR 'd' of ALTER CLUSTER.</summary>
    public sealed record WaitFor(Expr Duration) : OptionValue;

    /// <summary>WAIT UNTIL READY ( TIMEOUT …, ON TIMEOUT … ) of ALTER CLUSTER.</summary>
    public sealed record WaitUntilReady(AstList<SqlOption> Options) : OptionValue;

    /// <summary>REPLICAS ( r (…), … ) of an unmanaged cluster.</summary>
    public sealed record Replicas(AstList<ReplicaDefinition> Definitions) : OptionValue;

    /// <summary>RULES ( r (…), … ) of a network policy.</summary>
    public sealed record NetworkRules(AstList<NetworkRule> Rules) : OptionValue;

    /// <summary>A broker: <c>'host:port' [USING tunnel]</c>, or <c>MATCHING 'pattern' USING tunnel</c>.</summary>
    public sealed record KafkaBroker(string Address, bool Matching, BrokerTunnel? Tunnel) : OptionValue;

    /// <summary>The default tunnel of a Kafka connection: <c>AWS PRIVATELINK c (PORT n, …)</c>.</summary>
    public sealed record DefaultPrivateLink(ObjectName Connection, AstList<SqlOption> Options) : OptionValue;
}

/// <summary>An entry of a MAP option value.</summary>
public sealed record OptionMapEntry(string Key, OptionValue Value) : AstNode;

/// <summary>A replica of an unmanaged cluster.</summary>
public sealed record ReplicaDefinition(Ident Name, AstList<SqlOption> Options) : AstNode;

/// <summary>A rule of a network policy: options ACTION, DIRECTION, ADDRESS.</summary>
public sealed record NetworkRule(Ident Name, AstList<SqlOption> Options) : AstNode;

/// <summary>How a broker is reached: SSH TUNNEL c, or AWS PRIVATELINK c (PORT n, AVAILABILITY ZONE 'az').</summary>
public abstract record BrokerTunnel : AstNode
{
    private BrokerTunnel() { }   // closed

    /// <summary>USING SSH TUNNEL c.</summary>
    public sealed record Ssh(ObjectName Connection) : BrokerTunnel;

    /// <summary>USING AWS PRIVATELINK c (…).</summary>
    public sealed record PrivateLink(ObjectName Connection, AstList<SqlOption> Options) : BrokerTunnel;
}
