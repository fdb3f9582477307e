using System.Linq.Expressions;
using Materialize.Repr;

namespace Materialize.Expr.Kernels;

/// <content>
/// The functions with generated forms. A form is given arguments that are present (a null one holds a default) and either is
/// total, then it is evaluated without asking for nulls, or may fail, then only where no argument is null.
/// </content>
internal sealed partial class ScalarEmitter
{
    private delegate Expression Form(ScalarEmitter emitter, ScalarValue[] args, SqlType[] types);

    private readonly record struct Generated(bool IsTotal, Form Emit);

    private static readonly Dictionary<string, Generated> Forms = BuildForms();

    private ScalarValue Call(MirScalarExpr.Call x)
    {
        var types = new SqlType[x.Args.Count];
        for (var i = 0; i < types.Length; i++)
            types[i] = x.Args[i].TypeOf(_mfp.Columns).Type;
        switch (x.Func.Id)
        {
            case "is_null":
                var tested = Emit(x.Args[0]);
                return new ScalarValue(null, tested.IsNull ?? Expression.Constant(false));
            case "is_true":
                return new ScalarValue(null, IsTrue(Emit(x.Args[0])));
            case "is_false":
                var maybe = Emit(x.Args[0]);
                return new ScalarValue(null, maybe.IsNull is null ? Expression.Not(maybe.Value) : Expression.AndAlso(Expression.Not(maybe.IsNull), Expression.Not(maybe.Value)));
        }

        if (SameBits(x.Func.Id, x.Output))
            return Emit(x.Args[0]);
        if (!Forms.TryGetValue(x.Func.Id, out var form) || !Fits(x, types))
            return Interpret(x);
        var args = new ScalarValue[types.Length];
        Expression? isNull = null;
        for (var i = 0; i < args.Length; i++)
        {
            args[i] = Simple(Emit(x.Args[i]));
            if (args[i].IsNull is { } argument)
                isNull = isNull is null ? argument : Expression.OrElse(isNull, argument);
        }

        if (isNull is null)
            return new ScalarValue(null, Stored(form.Emit(this, args, types)));
        var combined = Stored(isNull);
        if (form.IsTotal)
            return new ScalarValue(combined, Stored(form.Emit(this, args, types)));
        var result = Variable(ClrType(x.Output));
        var present = Nested(() =>
        {
            var value = form.Emit(this, args, types);
            Body.Add(Expression.Assign(result, value));
        });
        Body.Add(Expression.IfThenElse(combined, Expression.Assign(result, Expression.Default(result.Type)), present));
        return new ScalarValue(combined, result);
    }

    /// <summary>Arguments may be mentioned several times by a form, so each is computed once.</summary>
    private ScalarValue Simple(ScalarValue value) => value.Value is ParameterExpression or ConstantExpression ? value : Stored(value);

    /// <summary>Casts that change nothing but the type's name.</summary>
    private static bool SameBits(string id, SqlType output) => id switch
    {
        "unary_plus" => true,
        "cast_text_to_varchar" or "cast_varchar_to_text" or "cast_name_to_text" or "cast_bpchar_to_text" or "cast_bpchar_to_varchar" => output.Modifier is null,
        "cast_timestamp_to_timestamptz" or "cast_timestamptz_to_timestamp" => output.Modifier is null,
        "cast_uint8_to_mz_timestamp" => true,
        "cast_int2_to_int4" or "cast_uint2_to_uint4" => true,
        _ => false,
    };

    /// <summary>Whether the generated form covers these types.</summary>
    private static bool Fits(MirScalarExpr.Call x, SqlType[] types)
    {
        if (x.Func.Id is "eq" or "not_eq")
            return types[0].Kind is not (ScalarKind.List or ScalarKind.Map or ScalarKind.Record or ScalarKind.Range or ScalarKind.Array or ScalarKind.Int2Vector);
        if (x.Func.Id is "lt" or "lte" or "gt" or "gte")
            return ClrType(types[0]) != typeof(nint) || IsBytes(types[0]);
        return x.Output.Modifier is null || x.Func.Id.StartsWith("add_", StringComparison.Ordinal) || x.Func.Id.StartsWith("sub_", StringComparison.Ordinal);
    }

    private static bool IsBytes(SqlType type) =>
        type.Kind is ScalarKind.String or ScalarKind.Char or ScalarKind.VarChar or ScalarKind.PgLegacyName or ScalarKind.Bytes or ScalarKind.AclItem or ScalarKind.MzAclItem;

    private static Dictionary<string, Generated> BuildForms()
    {
        var forms = new Dictionary<string, Generated>();
        Total("not", (_, a, _) => Expression.Not(a[0].Value));
        Total("eq", (_, a, t) => Equal(a, t));
        Total("not_eq", (_, a, t) => Expression.Not(Equal(a, t)));
        Total("lt", (_, a, t) => Ordered(a, t, ExpressionType.LessThan));
        Total("lte", (_, a, t) => Ordered(a, t, ExpressionType.LessThanOrEqual));
        Total("gt", (_, a, t) => Ordered(a, t, ExpressionType.GreaterThan));
        Total("gte", (_, a, t) => Ordered(a, t, ExpressionType.GreaterThanOrEqual));
        Narrow("int2", typeof(int), short.MinValue, short.MaxValue);
        Narrow("int4", typeof(int), int.MinValue, int.MaxValue);
        Narrow("uint2", typeof(uint), 0, ushort.MaxValue);
        Narrow("uint4", typeof(uint), 0, uint.MaxValue);
        Wide("int8", typeof(long));
        Wide("uint8", typeof(ulong));
        Wide("numeric", typeof(Numeric));
        Partial("div_numeric", Tried(nameof(KernelRuntime.TryDivide), typeof(Numeric)));
        Partial("mod_numeric", Tried(nameof(KernelRuntime.TryRemainder), typeof(Numeric)));
        Total("neg_numeric", (_, a, _) => Runtime(nameof(KernelRuntime.Negate), a[0].Value));
        Floats("float4", typeof(float));
        Floats("float8", typeof(double));
        foreach (var type in (string[])["timestamp", "timestamptz"])
        {
            Partial($"add_{type}_interval", Tried(nameof(KernelRuntime.TryMove), typeof(long)));
            Partial($"sub_{type}_interval", Tried(nameof(KernelRuntime.TryMoveBack), typeof(long)));
            Partial($"cast_{type}_to_mz_timestamp", Tried(nameof(KernelRuntime.TryToMzTimestamp), typeof(ulong)));
            Partial($"cast_date_to_{type}", Tried(nameof(KernelRuntime.TryDateToTimestamp), typeof(long)));
            Total($"cast_{type}_to_date", (_, a, _) => Runtime(nameof(KernelRuntime.TimestampToDate), a[0].Value));
        }

        Total("sub_date", (_, a, _) => Expression.Subtract(a[0].Value, a[1].Value));
        AddCasts();
        return forms;

        void Total(string id, Form emit) => forms[id] = new Generated(true, emit);

        void Partial(string id, Form emit) => forms[id] = new Generated(false, emit);

        // Types narrower than 64 bits are computed in 64 and checked.
        void Narrow(string name, Type clr, long min, long max)
        {
            Binary("add", Expression.Add);
            Binary("sub", Expression.Subtract);
            Binary("mul", Expression.Multiply);
            Divide("div", Expression.Divide);
            Divide("mod", Expression.Modulo);
            if (min < 0)
                Partial($"neg_{name}", (e, a, _) => Checked(e, Expression.Negate(Expression.Convert(a[0].Value, typeof(long)))));

            void Binary(string operation, Func<Expression, Expression, Expression> f) => Partial($"{operation}_{name}", (e, a, _) =>
            {
                if (operation == "mul" && clr == typeof(uint))
                {
                    // Two 32-bit numbers without sign need all 64 bits of an unsigned product.
                    var product = e.Stored(Expression.Multiply(Expression.Convert(a[0].Value, typeof(ulong)), Expression.Convert(a[1].Value, typeof(ulong))));
                    e.Require(Expression.LessThanOrEqual(product, Expression.Constant((ulong)max)));
                    return Expression.Convert(product, clr);
                }

                return Checked(e, f(Expression.Convert(a[0].Value, typeof(long)), Expression.Convert(a[1].Value, typeof(long))));
            });

            void Divide(string operation, Func<Expression, Expression, Expression> f) => Partial($"{operation}_{name}", (e, a, _) =>
            {
                e.Require(Expression.NotEqual(a[1].Value, Expression.Default(clr)));
                return Checked(e, f(Expression.Convert(a[0].Value, typeof(long)), Expression.Convert(a[1].Value, typeof(long))));
            });

            Expression Checked(ScalarEmitter e, Expression wide)
            {
                var value = e.Stored(wide);
                e.Require(Expression.AndAlso(
                    Expression.GreaterThanOrEqual(value, Expression.Constant(min)), Expression.LessThanOrEqual(value, Expression.Constant(max))));
                return Expression.Convert(value, clr);
            }
        }

        void Wide(string name, Type clr)
        {
            Partial($"add_{name}", Tried(nameof(KernelRuntime.TryAdd), clr));
            Partial($"sub_{name}", Tried(nameof(KernelRuntime.TrySubtract), clr));
            Partial($"mul_{name}", Tried(nameof(KernelRuntime.TryMultiply), clr));
            if (clr == typeof(Numeric))
                return;
            foreach (var (operation, f) in (ReadOnlySpan<(string, Func<Expression, Expression, Expression>)>)[("div", Expression.Divide), ("mod", Expression.Modulo)])
            {
                Partial($"{operation}_{name}", (e, a, _) =>
                {
                    e.Require(Expression.NotEqual(a[1].Value, Expression.Default(clr)));
                    // The least long divided by -1 does not fit; the interpreter says so.
                    if (clr == typeof(long))
                        e.Require(Expression.NotEqual(a[1].Value, Expression.Constant(-1L)));
                    return f(a[0].Value, a[1].Value);
                });
            }
        }

        // Where a result could mean overflow or underflow, the interpreter decides.
        void Floats(string name, Type clr)
        {
            Operation("add", Expression.Add, zeroIsFine: true);
            Operation("sub", Expression.Subtract, zeroIsFine: true);
            Operation("mul", Expression.Multiply, zeroIsFine: false);
            Operation("div", Expression.Divide, zeroIsFine: false);
            Total($"neg_{name}", (_, a, _) => Runtime(nameof(KernelRuntime.Canonical), Expression.Negate(a[0].Value)));
            Total($"abs_{name}", (_, a, _) => Expression.Call(typeof(Math), nameof(Math.Abs), null, a[0].Value));

            void Operation(string operation, Func<Expression, Expression, Expression> f, bool zeroIsFine) => Partial($"{operation}_{name}", (e, a, _) =>
            {
                var zero = Expression.Default(clr);
                if (operation == "div")
                    e.Require(Expression.NotEqual(a[1].Value, zero));
                var value = e.Stored(f(a[0].Value, a[1].Value));
                e.Require(Expression.Call(clr, nameof(double.IsFinite), null, value));
                if (!zeroIsFine)
                    e.Require(Expression.OrElse(Expression.NotEqual(value, zero), Expression.Equal(a[0].Value, zero)));
                return Runtime(nameof(KernelRuntime.Canonical), value);
            });
        }

        void AddCasts()
        {
            (string Name, Type Clr, decimal Min, decimal Max)[] integers =
            [
                ("int2", typeof(int), short.MinValue, short.MaxValue), ("int4", typeof(int), int.MinValue, int.MaxValue),
                ("int8", typeof(long), long.MinValue, long.MaxValue), ("uint2", typeof(uint), 0, ushort.MaxValue),
                ("uint4", typeof(uint), 0, uint.MaxValue), ("uint8", typeof(ulong), 0, ulong.MaxValue),
            ];
            foreach (var from in integers)
            {
                foreach (var to in integers)
                {
                    if (from.Name == to.Name)
                        continue;
                    if (from.Min >= to.Min && from.Max <= to.Max)
                    {
                        Total($"cast_{from.Name}_to_{to.Name}", (_, a, _) => Expression.Convert(a[0].Value, to.Clr));
                        continue;
                    }

                    Partial($"cast_{from.Name}_to_{to.Name}", (e, a, _) =>
                    {
                        if (from.Min < to.Min)
                            e.Require(Expression.GreaterThanOrEqual(a[0].Value, Expression.Constant(Convert.ChangeType(to.Min, from.Clr, null), from.Clr)));
                        if (from.Max > to.Max)
                            e.Require(Expression.LessThanOrEqual(a[0].Value, Expression.Constant(Convert.ChangeType(to.Max, from.Clr, null), from.Clr)));
                        return Expression.Convert(a[0].Value, to.Clr);
                    });
                }

                Total($"cast_{from.Name}_to_float4", (_, a, _) => Expression.Convert(a[0].Value, typeof(float)));
                Total($"cast_{from.Name}_to_float8", (_, a, _) => Expression.Convert(a[0].Value, typeof(double)));
                var wide = from.Name == "uint8" ? typeof(ulong) : typeof(long);
                Total($"cast_{from.Name}_to_numeric", (_, a, _) => Expression.Call(
                    typeof(Numeric), from.Name == "uint8" ? nameof(Numeric.FromUInt64) : nameof(Numeric.FromInt64), null, Expression.Convert(a[0].Value, wide)));
            }

            foreach (var from in (string[])["int4", "int8"])
                Total($"cast_{from}_to_bool", (_, a, _) => Expression.NotEqual(a[0].Value, Expression.Default(a[0].Value.Type)));
            Total("cast_bool_to_int4", (_, a, _) => Expression.Condition(a[0].Value, Expression.Constant(1), Expression.Constant(0)));
            Total("cast_bool_to_int8", (_, a, _) => Expression.Condition(a[0].Value, Expression.Constant(1L), Expression.Constant(0L)));
            Total("cast_float4_to_float8", (_, a, _) => Expression.Convert(a[0].Value, typeof(double)));
            foreach (var from in (string[])["int4", "int8"])
            {
                Partial($"cast_{from}_to_mz_timestamp", (e, a, _) =>
                {
                    e.Require(Expression.GreaterThanOrEqual(a[0].Value, Expression.Default(a[0].Value.Type)));
                    return Expression.Convert(a[0].Value, typeof(ulong));
                });
            }
        }
    }

    /// <summary>A form that calls a method <c>bool Try…(args, out result)</c>.</summary>
    private static Form Tried(string method, Type result) => (e, a, _) =>
    {
        var value = e.Variable(result);
        e.Require(Expression.Call(typeof(KernelRuntime), method, null, [.. a.Select(x => x.Value), value]));
        return value;
    };

    private static Expression Equal(ScalarValue[] a, SqlType[] types)
    {
        var clr = ClrType(types[0]);
        if (clr == typeof(nint))
            return Runtime(nameof(KernelRuntime.EqualBytes), a[0].Value, a[0].Length!, a[1].Value, a[1].Length!);
        if (clr == typeof(float) || clr == typeof(double))
            return Expression.Equal(Compared(a, clr), Expression.Constant(0));
        if (clr == typeof(Numeric) || clr == typeof(Interval) || clr == typeof(UInt128))
            return Expression.Equal(Compared(a, clr), Expression.Constant(0));
        return Expression.Equal(a[0].Value, a[1].Value);
    }

    private static Expression Ordered(ScalarValue[] a, SqlType[] types, ExpressionType comparison)
    {
        var clr = ClrType(types[0]);
        if (clr == typeof(int) || clr == typeof(uint) || clr == typeof(long) || clr == typeof(ulong))
            return Expression.MakeBinary(comparison, a[0].Value, a[1].Value);
        if (clr == typeof(bool) || clr == typeof(byte))
            return Expression.MakeBinary(comparison, Number(a[0].Value), Number(a[1].Value));
        var order = clr == typeof(nint)
            ? Runtime(nameof(KernelRuntime.CompareBytes), a[0].Value, a[0].Length!, a[1].Value, a[1].Length!)
            : Compared(a, clr);
        return Expression.MakeBinary(comparison, order, Expression.Constant(0));

        static Expression Number(Expression value) => value.Type == typeof(bool)
            ? Expression.Condition(value, Expression.Constant(1), Expression.Constant(0))
            : Expression.Convert(value, typeof(int));
    }

    private static Expression Compared(ScalarValue[] a, Type clr)
    {
        if (clr == typeof(Numeric))
            return Runtime(nameof(KernelRuntime.CompareNumerics), a[0].Value, a[1].Value);
        if (clr == typeof(Interval))
            return Runtime(nameof(KernelRuntime.CompareIntervals), a[0].Value, a[1].Value);
        if (clr == typeof(UInt128))
            return Runtime(nameof(KernelRuntime.CompareUuids), a[0].Value, a[1].Value);
        return Runtime(nameof(KernelRuntime.CompareDoubles), Expression.Convert(a[0].Value, typeof(double)), Expression.Convert(a[1].Value, typeof(double)));
    }
}
