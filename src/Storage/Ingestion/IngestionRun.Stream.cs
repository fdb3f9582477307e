using System.Buffers;
using Npgsql.Replication;

namespace Materialize.Storage;

/// <summary>What the messages of the stream do.</summary>
internal sealed partial class IngestionRun
{
    private readonly PgTuple _new = new();
    private readonly PgTuple _old = new();
    private readonly HashSet<ExportWriter> _touched = [];
    private byte[] _message = new byte[64 * 1024];

    /// <summary>Where the transaction that is being received committed; null between transactions.</summary>
    private ulong? _transaction;

    /// <summary>Its changes may not be parted from those before it by a binding.</summary>
    private bool _mustCommitFirst;

    private async ValueTask ReceiveAsync(XLogDataMessage data, CancellationToken cancel)
    {
        var length = checked((int)data.Data.Length);
        if (length > _message.Length)
            _message = new byte[Math.Max(length, 2 * _message.Length)];
        await data.Data.ReadExactlyAsync(_message.AsMemory(0, length), cancel);
        switch (_message[0])
        {
            case (byte)'B':
                _transaction = Reader(length).Lsn();
                await CompleteAsync(_transaction.Value, cancel);
                break;
            case (byte)'C':
                await CommitAsync(length, cancel);
                break;
            case (byte)'R':
                await DescribeAsync(Reader(length).Relation());
                break;
            case (byte)'I' or (byte)'U' or (byte)'D':
                await ChangeAsync(length, cancel);
                break;
            case (byte)'T':
                await TruncateAsync(length, cancel);
                break;
        }
    }

    private PgOutputReader Reader(int length)
    {
        var reader = new PgOutputReader(_message.AsSpan(0, length));
        reader.Byte();
        return reader;
    }

    private async ValueTask CommitAsync(int length, CancellationToken cancel)
    {
        foreach (var export in _touched)
            await export.CommitAsync(cancel);
        _touched.Clear();
        var end = EndOf(length);
        _transaction = null;
        _mustCommitFirst = false;
        _received = Math.Max(_received, end);

        ulong EndOf(int length)
        {
            var reader = Reader(length);
            reader.Byte();
            reader.Lsn();
            return reader.Lsn();
        }
    }

    private async ValueTask DescribeAsync(Relation relation)
    {
        foreach (var export in _byOid.GetValueOrDefault(relation.Oid, []).Where(e => !e.TakesNothing))
        {
            try
            {
                var columns = new TableColumns(export.Export, relation);
                export.Columns?.Dispose();
                export.Columns = columns;
            }
            catch (DefiniteException e)
            {
                await export.FailAsync(e);
            }
        }
    }

    private async ValueTask ChangeAsync(int length, CancellationToken cancel)
    {
        foreach (var export in ExportsOf(length))
        {
            if (Skips(export))
                continue;
            _touched.Add(export);
            export.MessagesReceived++;
            export.BytesReceived += (ulong)length;
            try
            {
                Change(export, length);
            }
            catch (DefiniteException e)
            {
                await export.FailAsync(e);
            }

            await export.SpillIfFullAsync(cancel);
        }
    }

    private List<ExportWriter> ExportsOf(int length) => _byOid.GetValueOrDefault(Reader(length).Oid(), []);

    /// <summary>Whether an export has this transaction already, or takes nothing any more.</summary>
    private bool Skips(ExportWriter export) =>
        export.TakesNothing || (!export.IsJoining && _incomplete.TryPeek(out var binding) && !export.Upper.IsBeyond(binding.Time));

    private void Change(ExportWriter export, int length)
    {
        var message = _message.AsSpan(0, length);
        var reader = Reader(length);
        reader.Oid();
        var columns = export.Columns ?? throw new DefiniteException($"{TableColumns.NameOf(export.Export)} was not described");
        var part = reader.Byte();
        var hasOld = part is (byte)'O' or (byte)'K';
        if (part == 'K')
            TableColumns.CheckIdentity(export.Export, 'd');
        if (hasOld)
        {
            reader.Tuple(_old, length);
            export.Add(columns.Row(message, _old, null, export.Export), -1, _transaction!.Value);
            if (message[0] == 'D')
                return;
            reader.Byte();   // N
        }
        else if (message[0] != 'I')
        {
            TableColumns.CheckIdentity(export.Export, 'n');
        }

        reader.Tuple(_new, length);
        export.Add(columns.Row(message, _new, hasOld ? _old : null, export.Export), 1, _transaction!.Value);
    }

    private async ValueTask TruncateAsync(int length, CancellationToken cancel)
    {
        foreach (var oid in Oids())
        {
            foreach (var export in _byOid.GetValueOrDefault(oid, []).Where(e => !Skips(e)))
            {
                await export.TruncateAsync(_transaction!.Value, cancel);
                _touched.Add(export);
                _mustCommitFirst = true;
            }
        }

        uint[] Oids()
        {
            var reader = Reader(length);
            var oids = new uint[reader.Int32()];
            reader.Byte();   // options: the relations that CASCADE reached are listed
            for (var i = 0; i < oids.Length; i++)
                oids[i] = reader.Oid();
            return oids;
        }
    }
}
