using System.Diagnostics;
using Materialize.Sql.Parser.Ast;

namespace Materialize.Sql.Parser;

internal sealed partial class SqlWriter
{
    private void Options(IReadOnlyList<SqlOption> options) => Parens(options, Option);

    private void OptionalOptions(string words, IReadOnlyList<SqlOption> options)
    {
        if (options.Count == 0)
            return;
        W(words);
        Options(options);
    }

    private void With(IReadOnlyList<SqlOption> options) => OptionalOptions(" WITH ", options);

    public void Option(SqlOption option)
    {
        W(option.Name);
        if (option.Value is null)
            return;
        W(" = ");
        Value(option.Value);
    }

    public void Value(OptionValue value)
    {
        switch (value)
        {
            case OptionValue.Literal x: Expr(x.Value); break;
            case OptionValue.Name x: Name(x.Value); break;
            case OptionValue.Secret x:
                W("SECRET ");
                Name(x.Value);
                break;
            case OptionValue.Sequence x: Parens(x.Items, Value); break;
            case OptionValue.Map x:
                W("MAP[");
                List(x.Entries, e =>
                {
                    Str(e.Key);
                    W(" => ");
                    Value(e.Value);
                });
                W("]");
                break;
            case OptionValue.Type x: Type(x.Value); break;
            case OptionValue.Expression x: Expr(x.Value); break;
            case OptionValue.RetainHistoryFor x: Clause("FOR ", x.Value); break;
            case OptionValue.RefreshOnCommit: W("ON COMMIT"); break;
            case OptionValue.RefreshAtCreation: W("AT CREATION"); break;
            case OptionValue.RefreshAt x: Clause("AT ", x.Time); break;
            case OptionValue.RefreshEvery x:
                W("EVERY ");
                Interval(x.Interval);
                Clause(" ALIGNED TO ", x.AlignedTo);
                break;
            case OptionValue.ScheduleManual: W("MANUAL"); break;
            case OptionValue.ScheduleOnRefresh x:
                W("ON REFRESH");
                if (x.HydrationTimeEstimate is not null)
                {
                    Clause(" (HYDRATION TIME ESTIMATE = ", x.HydrationTimeEstimate);
                    W(")");
                }
                break;
            case OptionValue.WaitFor x: Clause("FOR ", x.Duration); break;
            case OptionValue.WaitUntilReady x:
                W("UNTIL READY ");
                Options(x.Options);
                break;
            case OptionValue.Replicas x:
                Parens(x.Definitions, d =>
                {
                    Ident(d.Name);
                    W(" ");
                    Options(d.Options);
                });
                break;
            case OptionValue.NetworkRules x:
                Parens(x.Rules, r =>
                {
                    Ident(r.Name);
                    W(" ");
                    Options(r.Options);
                });
                break;
            case OptionValue.KafkaBroker x:
                If(x.Matching, "MATCHING ");
                Str(x.Address);
                switch (x.Tunnel)
                {
                    case BrokerTunnel.Ssh ssh:
                        W(" USING SSH TUNNEL ");
                        Name(ssh.Connection);
                        break;
                    case BrokerTunnel.PrivateLink link:
                        W(" USING AWS PRIVATELINK ");
                        Name(link.Connection);
                        OptionalOptions(" ", link.Options);
                        break;
                }
                break;
            case OptionValue.DefaultPrivateLink x:
                Name(x.Connection);
                W(" ");
                Options(x.Options);
                break;
            default: throw new UnreachableException(value.GetType().Name);
        }
    }
}
