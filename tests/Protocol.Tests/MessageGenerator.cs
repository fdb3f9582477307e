using Materialize.Core.Collections;
using Materialize.Expr;
using Materialize.Repr;

namespace Materialize.Protocol.Tests;

/// <summary>Random messages that use every case and every field; they need not make sense.</summary>
internal sealed class MessageGenerator(int seed)
{
    private readonly Random _random = new(seed);

    public ComputeCommand Command() => _random.Next(10) switch
    {
        0 => new ComputeCommand.Hello(Guid()),
        1 => new ComputeCommand.CreateInstance(new InstanceConfig(Number())),
        2 => new ComputeCommand.InitializationComplete(),
        3 => new ComputeCommand.UpdateConfiguration(Number()),
        4 or 5 => new ComputeCommand.CreateDataflow(Dataflow()),
        6 => new ComputeCommand.Schedule(GlobalId()),
        7 => Bool() ? new ComputeCommand.AllowWrites(GlobalId()) : new ComputeCommand.CancelPeek(Guid()),
        8 => new ComputeCommand.AllowCompaction(GlobalId(), Time()),
        _ => new ComputeCommand.Peek(new PeekRequest(
            Guid(),
            Bool() ? new PeekTarget.Index(GlobalId()) : new PeekTarget.Persist(GlobalId(), Metadata()),
            Bool() ? Array(() => Array(Datum)) : null,
            Number(),
            Mfp(),
            Columns(),
            new RowSetFinishing(Array(Order), Time(), Number(), Array(Index)),
            Number())),
    };

    public ComputeResponse Response() => _random.Next(4) switch
    {
        0 => new ComputeResponse.Frontiers(GlobalId(), Change(), Change(), Change()),
        1 => new ComputeResponse.PeekResponse(Guid(), _random.Next(3) switch
        {
            0 => new PeekResult.Rows(Batch()),
            1 => new PeekResult.Error(Error()),
            _ => new PeekResult.Canceled(),
        }),
        2 => new ComputeResponse.SubscribeResponse(GlobalId(), new SubscribeBatch(Number(), Time(), Batch(), Bool() ? Error() : null)),
        _ => new ComputeResponse.SubscribeDropped(GlobalId()),
    };

    public StorageCommand StorageCommand() => _random.Next(5) switch
    {
        0 => new StorageCommand.Hello(Guid()),
        1 => new StorageCommand.InitializationComplete(),
        2 => new StorageCommand.AllowWrites(),
        3 => new StorageCommand.AllowCompaction(GlobalId(), Time()),
        _ => new StorageCommand.RunIngestion(new IngestionDescription(
            GlobalId(),
            Text(),
            new SourceConnection.Postgres(Text(), Index(), Text(), Bool() ? Text() : null, Text(), Text(), Text(), Text()),
            Metadata(),
            Array(() => new SourceExport(
                GlobalId(), Text(), Text(), (uint)_random.Next(), Array(() => new UpstreamColumn(Text(), (uint)_random.Next(), _random.Next(-1, 9), Bool())), Metadata())),
            Number())),
    };

    public StorageResponse StorageResponse() => _random.Next(4) switch
    {
        0 => new StorageResponse.FrontierUpper(GlobalId(), new FrontierChange(Time())),
        1 => new StorageResponse.DroppedId(GlobalId()),
        2 => new StorageResponse.StatusUpdate(GlobalId(), Text(), Bool() ? Text() : null, Array(Text)),
        _ => new StorageResponse.StatisticsUpdate(GlobalId(), Number(), Number(), Number(), Bool(), Number(), Number()),
    };

    public RowBatch Batch()
    {
        var count = _random.Next(5);
        var ends = new int[count];
        for (var i = 0; i < count; i++)
            ends[i] = (i == 0 ? 0 : ends[i - 1]) + _random.Next(20);
        var data = new byte[count == 0 ? 0 : ends[^1]];
        _random.NextBytes(data);
        var ones = Bool();
        return new RowBatch(
            data,
            ends,
            Bool() ? [.. ends.Select(_ => Number())] : [],
            [.. ends.Select(_ => ones ? 1 : _random.NextInt64(-5, 5))]);
    }

    private DataflowDescription Dataflow() => new(
        Text(),
        Array(() => new SourceImport(GlobalId(), Relation(), Bool() ? Metadata() : null, Mfp(), Columns())),
        Array(() => new IndexImport(GlobalId(), IndexDesc(), Relation())),
        Array(() => new BuildDesc(GlobalId(), Plan(4))),
        Array(() => new IndexExport(GlobalId(), IndexDesc(), Relation())),
        Array(() => new SinkExport(
            GlobalId(), GlobalId(), Desc(), Bool() ? new SinkConnection.Subscribe() : new SinkConnection.MaterializedView(Metadata()), Bool(), Time())),
        Time(),
        Time())
    {
        LogImports = Array(() => new LogImport(GlobalId(), Text(), Relation())),
    };

    private LirRelationExpr Plan(int depth)
    {
        var columns = Columns();
        switch (depth == 0 ? _random.Next(2) : _random.Next(14))
        {
            case 13:
                return new LirRelationExpr.Window(Plan(depth - 1), Array(Index), Array(Order), Array(WindowCall), columns);
            case 12:
                return new LirRelationExpr.LetRec(
                    Array(() => new LirRecursiveBinding(_random.Next(5), Plan(depth - 1), Bool() ? new RecursionLimit((uint)_random.Next(1, 9), Bool()) : null)), Plan(depth - 1), columns);
            case 0:
                return new LirRelationExpr.Constant(
                    Array(() => new ConstantRow(Array(Datum), _random.NextInt64(-3, 3))), Bool() ? Error() : null, columns);
            case 1:
                return new LirRelationExpr.Get(
                    Bool() ? new Id.Local(_random.Next(5)) : new Id.Global(GlobalId()),
                    Bool() ? Key() : null,
                    Bool() ? Array(() => Array(Datum)) : null,
                    Mfp(),
                    columns);
            case 2:
                return new LirRelationExpr.Let(_random.Next(5), Plan(depth - 1), Plan(depth - 1), columns);
            case 3:
                return new LirRelationExpr.MapFilterProject(Plan(depth - 1), Mfp(), columns);
            case 4:
                return new LirRelationExpr.FlatMap(
                    Plan(depth - 1), Enum<TableFunc>(), Bool() ? Enum<TableFunc>() : null, Array(() => Scalar(2)), Columns(), Mfp(), columns);
            case 5:
                LirJoinPlan plan = Bool()
                    ? new LirJoinPlan.Linear(Index(), Bool() ? Key() : null, Mfp(), Array(Stage))
                    : new LirJoinPlan.Delta(Array(() => new LirDeltaPath(Index(), Key(), Mfp(), Array(Stage))));
                return new LirRelationExpr.Join(Array(() => Plan(depth - 1)), plan, columns);
            case 6:
                return new LirRelationExpr.Reduce(
                    Plan(depth - 1), Array(() => Scalar(2)), Array(() => new LirAggregate(Aggregate(), Enum<ReduceKind>())), Mfp(), columns);
            case 7:
                return new LirRelationExpr.TopK(Plan(depth - 1), Array(Index), Array(Order), Bool() ? Scalar(1) : null, Number(), columns);
            case 8:
                return new LirRelationExpr.Negate(Plan(depth - 1), columns);
            case 9:
                return new LirRelationExpr.Threshold(Plan(depth - 1), columns);
            case 10:
                return new LirRelationExpr.Union(Array(() => Plan(depth - 1)), Bool(), columns);
            default:
                return new LirRelationExpr.ArrangeBy(Plan(depth - 1), Array(Key), columns);
        }
    }

    private WindowCall WindowCall()
    {
        var output = Type(1).Nullable(Bool());
        return _random.Next(4) switch
        {
            0 => new WindowCall.Number(Enum<WindowNumber>(), output),
            1 => new WindowCall.Neighbour(Index(), _random.NextInt64(-9, 9), Bool() ? Index() : null, output),
            2 => new WindowCall.Edge(Index(), Bool(), Frame(), output),
            _ => new WindowCall.Aggregate(Enum<AggregateFunc>(), Index(), Frame(), output),
        };
        WindowRows Frame() => new(Bool() ? _random.NextInt64(-9, 9) : null, Bool() ? _random.NextInt64(-9, 9) : null, Bool());
    }

    private LirJoinStage Stage() => new(Index(), Array(() => Scalar(2)), Key(), Columns(), Mfp(), Columns());

    private AggregateExpr Aggregate() =>
        new(Enum<AggregateFunc>(), Array(() => Scalar(2)), Bool(), Type(1).Nullable(Bool()), Array(Order), Array(() => Scalar(1)));

    private ArrangementKey Key() => new(Array(() => Scalar(2)));

    private IndexDesc IndexDesc() => new(GlobalId(), Key());

    private Mfp Mfp() => new(Index(), Array(() => Scalar(3)), Array(() => new MfpPredicate(Index(), Scalar(3))), Array(Index));

    private MirScalarExpr Scalar(int depth) => (depth == 0 ? _random.Next(4) : _random.Next(6)) switch
    {
        0 => new MirScalarExpr.Column(Index()),
        1 => new MirScalarExpr.Literal(Datum(), Type(2).Nullable(Bool())),
        2 => new MirScalarExpr.LiteralError(Error(), Type(1).Nullable(Bool())),
        3 => new MirScalarExpr.CallUnmaterializable(Enum<UnmaterializableFunc>()),
        4 => new MirScalarExpr.If(Scalar(depth - 1), Scalar(depth - 1), Scalar(depth - 1)),
        _ => new MirScalarExpr.Call(ScalarFunctions.ById(Bool() ? "eq" : "add_int4"), Array(() => Scalar(depth - 1)), Type(1)),
    };

    private Datum Datum() => Datum(2);

    // No byte strings: they have a test of their own, since datums that hold them do not compare by value.
    private Datum Datum(int depth) => (depth == 0 ? _random.Next(9) : _random.Next(13)) switch
    {
        0 => Repr.Datum.Null,
        1 => Repr.Datum.FromInt64(_random.NextInt64(long.MinValue, long.MaxValue)),
        2 => Repr.Datum.FromInt64(_random.Next(-3, 3)),
        3 => Repr.Datum.FromDouble(_random.NextDouble() * 1e300),
        4 => Repr.Datum.FromString(Text()),
        5 => Repr.Datum.FromInterval(new Interval(_random.Next(-9, 9), _random.Next(-9, 9), _random.NextInt64(-9, 9))),
        6 => Repr.Datum.FromUuid(new UInt128((ulong)_random.NextInt64(), (ulong)_random.NextInt64())),
        7 => Repr.Datum.FromNumeric(new Numeric
        {
            Low = new UInt128((ulong)_random.NextInt64(), (ulong)_random.NextInt64()),
            High = (uint)_random.Next(),
            Scale = (byte)_random.Next(40),
            Kind = Enum<NumericKind>(),
        }),
        8 => Repr.Datum.FromBool(Bool()),
        9 => Repr.Datum.FromList(Array(() => Datum(depth - 1))),
        10 => Repr.Datum.FromArray(new ArrayDatum(Array(() => new ArrayDimension(_random.Next(-2, 2), Index())), Array(() => Datum(depth - 1)))),
        11 => Repr.Datum.FromMap(Array(() => KeyValuePair.Create(Text(), Datum(depth - 1)))),
        _ => Repr.Datum.FromRange(new RangeDatum(Bool(), Datum(depth - 1), Bool(), Datum(depth - 1), Bool())),
    };

    private SqlType Type(int depth) => new(Enum<ScalarKind>())
    {
        Element = depth > 0 && Bool() ? Type(depth - 1) : null,
        Fields = depth > 0 ? Array(() => new RecordField(Text(), Type(depth - 1).Nullable(Bool()))) : [],
        Modifier = Bool() ? _random.Next(-2, 40) : null,
        CustomId = Bool() ? GlobalId() : null,
    };

    private ValueArray<ColumnType> Columns() => Array(() => Type(1).Nullable(Bool()));

    private RelationType Relation() => new(Columns(), Array(() => Array(Index)));

    private RelationDesc Desc() => new(Relation(), Array(Text));

    private CollectionMetadata Metadata() => new(new ShardId(Guid()), Bool() ? new ShardId(Guid()) : null, Desc());

    private ColumnOrder Order() => new(Index(), Bool(), Bool());

    private EvalError Error() => new(Text(), Text()) { Detail = Bool() ? Text() : null, Hint = Bool() ? Text() : null };

    private GlobalId GlobalId() => new(Enum<GlobalIdSpace>(), Number());

    private FrontierChange? Change() => Bool() ? new FrontierChange(Time()) : null;

    private ulong? Time() => Bool() ? Number() : null;

    private ulong Number() => Bool() ? (ulong)_random.Next(3) : unchecked((ulong)_random.NextInt64(long.MinValue, long.MaxValue));

    private int Index() => _random.Next(9);

    private bool Bool() => _random.Next(2) == 0;

    private string Text() => _random.Next(3) switch
    {
        0 => "",
        1 => "héllo \0 💧",
        _ => _random.Next().ToString(System.Globalization.CultureInfo.InvariantCulture),
    };

    private Guid Guid()
    {
        var bytes = new byte[16];
        _random.NextBytes(bytes);
        return new Guid(bytes);
    }

    private T Enum<T>() where T : struct, Enum
    {
        var values = System.Enum.GetValues<T>();
        return values[_random.Next(values.Length)];
    }

    private ValueArray<T> Array<T>(Func<T> item)
    {
        var items = new T[_random.Next(3)];
        for (var i = 0; i < items.Length; i++)
            items[i] = item();
        return ValueArray.Create<T>(items);
    }
}
