using System.Diagnostics;
using System.Linq.Expressions;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <summary>A value in generated code: pure expressions, cheap enough to be evaluated more than once.</summary>
/// <param name="IsNull">Of type bool; null if the value cannot be null.</param>
/// <param name="Value">Of the CLR type of its kind (<see cref="ScalarEmitter.ClrType"/>); an address for a variable-width kind.</param>
/// <param name="Length">Bytes at the address; null for fixed-width kinds. 0 where the value is null.</param>
internal sealed record ScalarValue(Expression? IsNull, Expression Value, Expression? Length = null)
{
    /// <summary>Whether the value is present, as an expression; null if it always is.</summary>
    public Expression? IsPresent => IsNull is null ? null : Expression.Not(IsNull);
}

/// <summary>
/// Turns scalar expressions into statements of a kernel's loop body. Whatever fails, or turns out not to fit, jumps to
/// <see cref="Slow"/>, where the interpreter does the whole row again and words the error; generated code makes no errors.
/// </summary>
internal sealed partial class ScalarEmitter
{
    private readonly KernelInput _input;
    private readonly MfpProgram _mfp;
    private readonly ParameterExpression[] _rows;
    private readonly Expression _io;
    private readonly ParameterExpression _index;
    private readonly List<ScalarValue> _maps = [];

    public ScalarEmitter(KernelInput input, MfpProgram mfp, ParameterExpression[] rows, Expression io, ParameterExpression index)
    {
        _input = input;
        _mfp = mfp;
        _rows = rows;
        _io = io;
        _index = index;
    }

    public LabelTarget Slow { get; } = Expression.Label("slow");

    public List<ParameterExpression> Variables { get; } = [];

    /// <summary>Statements so far; nested blocks swap it.</summary>
    public List<Expression> Body { get; private set; } = [];

    /// <summary>The memory of variable-width literals.</summary>
    public List<byte[]> Literals { get; } = [];

    /// <summary>Whether some subexpression is interpreted, so that scratch memory must be reset for each row.</summary>
    public bool UsesScratch { get; private set; }

    /// <summary>The CLR type that holds values of a type in generated code; nint for a variable-width one, whose address is held as a long.</summary>
    public static Type ClrType(SqlType type) => type.Kind switch
    {
        ScalarKind.Bool => typeof(bool),
        ScalarKind.PgLegacyChar => typeof(byte),
        ScalarKind.Int16 or ScalarKind.Int32 or ScalarKind.Date => typeof(int),
        ScalarKind.UInt16 or ScalarKind.UInt32 or ScalarKind.Oid or ScalarKind.RegClass or ScalarKind.RegProc or ScalarKind.RegType => typeof(uint),
        ScalarKind.Int64 or ScalarKind.Time or ScalarKind.Timestamp or ScalarKind.TimestampTz => typeof(long),
        ScalarKind.UInt64 or ScalarKind.MzTimestamp => typeof(ulong),
        ScalarKind.Float32 => typeof(float),
        ScalarKind.Float64 => typeof(double),
        ScalarKind.Numeric => typeof(Numeric),
        ScalarKind.Interval => typeof(Interval),
        ScalarKind.Uuid => typeof(UInt128),
        _ => typeof(nint),
    };

    public static Expression Runtime(string method, params Expression[] args) => Expression.Call(typeof(KernelRuntime), method, null, args);

    public static Expression Read(Type type, Expression address) => Expression.Call(typeof(KernelRuntime), nameof(KernelRuntime.Read), [type], address);

    public static Expression Write(Expression address, Expression value) =>
        Expression.Call(typeof(KernelRuntime), nameof(KernelRuntime.Write), [value.Type], address, value);

    public static Expression At(Expression address, int offset) =>
        offset == 0 ? address : Expression.Add(address, Expression.Constant((long)offset));

    /// <summary>Evaluates the next map, to be referred to by the column number it gets.</summary>
    public void Map(MirScalarExpr expr) => _maps.Add(Stored(Emit(expr)));

    /// <summary>Jumps to <paramref name="drop"/> unless <paramref name="expr"/> is true.</summary>
    public void Filter(MirScalarExpr expr, LabelTarget drop)
    {
        // AND of conditions that cannot be null is one after the other; a null would still have to look at errors behind it.
        if (expr is MirScalarExpr.Call and && and.Func == ScalarFunctions.And && and.Args.All(a => !a.TypeOf(_mfp.Columns).IsNullable))
        {
            foreach (var arg in and.Args)
                Filter(arg, drop);
            return;
        }

        var value = Emit(expr);
        Body.Add(Expression.IfThen(Expression.Not(IsTrue(value)), Expression.Goto(drop)));
    }

    /// <summary>The value of a column: of the input, or a map already evaluated.</summary>
    public ScalarValue Column(int column)
    {
        if (column >= _mfp.Mfp.InputArity)
            return _maps[column - _mfp.Mfp.InputArity];
        var (part, index) = _input.Columns[column];
        var layout = _input.Parts[part];
        var row = _rows[part];
        var bit = layout.NullBit(index);
        var isNull = bit < 0
            ? null
            : Expression.NotEqual(
                Expression.And(Expression.Convert(Read(typeof(byte), At(row, bit >> 3)), typeof(int)), Expression.Constant(1 << (bit & 7))), Expression.Constant(0));
        var address = At(row, layout.Offset(index));
        var type = layout.Columns[index].Type;
        if (layout.IsFixed(index))
            return new ScalarValue(isNull, Load(type, address));
        var start = layout.Offset(index) == layout.EndsOffset
            ? (Expression)Expression.Constant(layout.HeaderWidth)
            : Read(typeof(int), At(row, layout.Offset(index) - sizeof(uint)));
        return new ScalarValue(
            isNull,
            Expression.Add(row, Expression.Convert(start, typeof(long))),
            Expression.Subtract(Read(typeof(int), address), start));
    }

    public ScalarValue Emit(MirScalarExpr expr)
    {
        switch (expr)
        {
            case MirScalarExpr.Column x:
                return Column(x.Index);
            case MirScalarExpr.Literal x:
                return Literal(x.Value, x.Type.Type);
            case MirScalarExpr.LiteralError x:
                Fail();
                return Literal(Datum.Null, x.Type.Type) with { IsNull = null };
            case MirScalarExpr.If x:
                return If(x);
            case MirScalarExpr.Call x when x.Func == ScalarFunctions.And || x.Func == ScalarFunctions.Or:
                return AndOr(x, decides: x.Func == ScalarFunctions.Or);
            case MirScalarExpr.Call x when x.Func == ScalarFunctions.Coalesce:
                return Coalesce(x);
            case MirScalarExpr.Call x:
                return Call(x);
            default:
                throw new UnreachableException(expr.GetType().Name);
        }
    }

    /// <summary>True exactly for a value that is present and true.</summary>
    public static Expression IsTrue(ScalarValue value) =>
        value.IsNull is null ? value.Value : Expression.AndAlso(Expression.Not(value.IsNull), value.Value);

    public void Fail() => Body.Add(Expression.Goto(Slow));

    /// <summary>Fails unless <paramref name="condition"/>.</summary>
    public void Require(Expression condition) => Body.Add(Expression.IfThen(Expression.Not(condition), Expression.Goto(Slow)));

    public ParameterExpression Variable(Type type)
    {
        var variable = Expression.Variable(type);
        Variables.Add(variable);
        return variable;
    }

    /// <summary>Assigns to a new variable, so that it is computed once.</summary>
    public ParameterExpression Stored(Expression value)
    {
        var variable = Variable(value.Type);
        Body.Add(Expression.Assign(variable, value));
        return variable;
    }

    /// <summary>The statements that <paramref name="emit"/> makes, as a block of their own.</summary>
    public Expression Nested(Action emit)
    {
        var outer = Body;
        Body = [];
        emit();
        var block = Body.Count == 0 ? (Expression)Expression.Empty() : Expression.Block(typeof(void), Body);
        Body = outer;
        return block;
    }

    private static Expression Load(SqlType type, Expression address) => type.Kind switch
    {
        ScalarKind.Bool => Expression.NotEqual(Read(typeof(byte), address), Expression.Constant((byte)0)),
        ScalarKind.Int16 => Expression.Convert(Read(typeof(short), address), typeof(int)),
        ScalarKind.UInt16 => Expression.Convert(Read(typeof(ushort), address), typeof(uint)),
        ScalarKind.Numeric => Runtime(nameof(KernelRuntime.ReadNumeric), address),
        ScalarKind.Interval => Runtime(nameof(KernelRuntime.ReadInterval), address),
        ScalarKind.Uuid => Runtime(nameof(KernelRuntime.ReadUuid), address),
        _ => Read(ClrType(type), address),
    };

    /// <summary>Writes a fixed-width value; where it is null, zeros.</summary>
    public static Expression Store(SqlType type, Expression address, ScalarValue value)
    {
        var clean = value.IsNull is null ? value.Value : Expression.Condition(value.IsNull, Expression.Default(value.Value.Type), value.Value);
        return type.Kind switch
        {
            ScalarKind.Bool => Write(address, Expression.Condition(clean, Expression.Constant((byte)1), Expression.Constant((byte)0))),
            ScalarKind.Int16 => Write(address, Expression.Convert(clean, typeof(short))),
            ScalarKind.UInt16 => Write(address, Expression.Convert(clean, typeof(ushort))),
            ScalarKind.Numeric => Runtime(nameof(KernelRuntime.WriteNumeric), address, clean),
            ScalarKind.Interval => Runtime(nameof(KernelRuntime.WriteInterval), address, clean),
            ScalarKind.Uuid => Runtime(nameof(KernelRuntime.WriteUuid), address, clean),
            _ => Write(address, clean),
        };
    }

    private ScalarValue Stored(ScalarValue value) => new(
        value.IsNull is null or ConstantExpression ? value.IsNull : Stored(value.IsNull),
        value.Value is ConstantExpression ? value.Value : Stored(value.Value),
        value.Length is null or ConstantExpression ? value.Length : Stored(value.Length));

    private ScalarValue Literal(Datum value, SqlType type)
    {
        var isNull = value.IsNull ? Expression.Constant(true) : null;
        var clr = ClrType(type);
        if (clr == typeof(nint))
        {
            if (value.IsNull)
                return new ScalarValue(isNull, Expression.Constant(0L), Expression.Constant(0));
            var buffer = new System.Buffers.ArrayBufferWriter<byte>();
            ValueCodec.Write(type, value, buffer);
            return new ScalarValue(null, Expression.Constant(Permanent(buffer.WrittenSpan)), Expression.Constant(buffer.WrittenCount));
        }

        return new ScalarValue(isNull, value.IsNull ? Expression.Default(clr) : Expression.Constant(Box(value, type), clr));
    }

    private static object Box(Datum value, SqlType type) => type.Kind switch
    {
        ScalarKind.Bool => value.AsBool,
        ScalarKind.PgLegacyChar => (byte)value.AsInt64,
        ScalarKind.Float32 => (float)value.AsDouble,
        ScalarKind.Float64 => value.AsDouble,
        ScalarKind.Numeric => value.AsNumeric,
        ScalarKind.Interval => value.AsInterval,
        ScalarKind.Uuid => value.AsUuid,
        _ when ClrType(type) == typeof(int) => (int)value.AsInt64,
        _ when ClrType(type) == typeof(uint) => (uint)value.AsInt64,
        _ when ClrType(type) == typeof(ulong) => value.AsUInt64,
        _ => value.AsInt64,
    };

    /// <summary>Memory for a literal, at an address that stays: it lives as long as <see cref="Literals"/> is referred to.</summary>
    private unsafe long Permanent(ReadOnlySpan<byte> bytes)
    {
        var memory = GC.AllocateUninitializedArray<byte>(Math.Max(1, bytes.Length), pinned: true);
        bytes.CopyTo(memory);
        Literals.Add(memory);
        return (long)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(memory));
    }

    /// <summary>Variables that branches assign to.</summary>
    private (ScalarValue Value, Action<ScalarValue> Assign) Result(SqlType type, bool nullable)
    {
        var isNull = nullable ? Variable(typeof(bool)) : null;
        var value = Variable(ClrType(type) == typeof(nint) ? typeof(long) : ClrType(type));
        var length = ClrType(type) == typeof(nint) ? Variable(typeof(int)) : null;
        return (new ScalarValue(isNull, value, length), source =>
        {
            if (isNull is not null)
                Body.Add(Expression.Assign(isNull, source.IsNull ?? Expression.Constant(false)));
            Body.Add(Expression.Assign(value, source.Value));
            if (length is not null)
                Body.Add(Expression.Assign(length, source.Length!));
        }
        );
    }

    private ScalarValue If(MirScalarExpr.If x)
    {
        var type = x.TypeOf(_mfp.Columns);
        var condition = Emit(x.Condition);
        var (value, assign) = Result(type.Type, type.IsNullable);
        var then = Nested(() => assign(Emit(x.Then)));
        var otherwise = Nested(() => assign(Emit(x.Else)));
        Body.Add(Expression.IfThenElse(IsTrue(condition), then, otherwise));
        return value;
    }

    private ScalarValue Coalesce(MirScalarExpr.Call x)
    {
        var (value, assign) = Result(x.Output, nullable: true);
        var done = Expression.Label("coalesced");
        foreach (var arg in x.Args)
        {
            assign(Emit(arg));
            Body.Add(Expression.IfThen(Expression.Not(value.IsNull!), Expression.Goto(done)));
        }

        Body.Add(Expression.Label(done));
        return x.TypeOf(_mfp.Columns).IsNullable ? value : value with { IsNull = null };
    }

    private ScalarValue AndOr(MirScalarExpr.Call x, bool decides)
    {
        var nullable = x.TypeOf(_mfp.Columns).IsNullable;
        var anyNull = nullable ? Stored(Expression.Constant(false)) : null;
        var result = Stored(Expression.Constant(!decides));
        var done = Expression.Label("decided");
        foreach (var arg in x.Args)
        {
            var value = Emit(arg);
            var decided = Expression.IfThen(
                decides ? value.Value : Expression.Not(value.Value),
                Expression.Block(
                    typeof(void),
                    anyNull is null ? Expression.Empty() : Expression.Assign(anyNull, Expression.Constant(false)),
                    Expression.Assign(result, Expression.Constant(decides)),
                    Expression.Goto(done)));
            Body.Add(value.IsNull is null || anyNull is null
                ? decided
                : Expression.IfThenElse(value.IsNull, Expression.Assign(anyNull, Expression.Constant(true)), decided));
        }

        Body.Add(Expression.Label(done));
        return new ScalarValue(anyNull, result);
    }

    private ScalarValue Interpret(MirScalarExpr expr)
    {
        UsesScratch = true;
        var type = expr.TypeOf(_mfp.Columns);
        var site = Expression.Constant(new InterpretedSite(_input, _mfp, expr));
        var datum = Variable(typeof(Datum));
        Require(Expression.Call(site, nameof(InterpretedSite.TryRun), null, _io, _index, datum));
        var isNull = type.IsNullable ? Stored(Expression.Call(typeof(InterpretedSite), nameof(InterpretedSite.IsNull), null, datum)) : null;
        var clr = ClrType(type.Type);
        if (clr == typeof(nint))
        {
            var length = Variable(typeof(int));
            var address = Stored(Expression.Call(site, nameof(InterpretedSite.Bytes), null, datum, length));
            return new ScalarValue(isNull, address, length);
        }

        var getter = clr == typeof(bool) ? nameof(InterpretedSite.AsBool)
            : clr == typeof(ulong) ? nameof(InterpretedSite.AsUInt64)
            : clr == typeof(float) || clr == typeof(double) ? nameof(InterpretedSite.AsDouble)
            : clr == typeof(Numeric) ? nameof(InterpretedSite.AsNumeric)
            : clr == typeof(Interval) ? nameof(InterpretedSite.AsInterval)
            : clr == typeof(UInt128) ? nameof(InterpretedSite.AsUuid)
            : nameof(InterpretedSite.AsInt64);
        var raw = Expression.Call(typeof(InterpretedSite), getter, null, datum);
        return new ScalarValue(isNull, Stored(raw.Type == clr ? raw : Expression.Convert(raw, clr)));
    }
}
