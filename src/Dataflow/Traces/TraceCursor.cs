using Materialize.Core.Hashing;
using Materialize.Core.Rows;

namespace Materialize.Dataflow.Traces;

/// <summary>
/// Reads one worker's part of an arrangement at one time: <see cref="Seek"/> a key and <see cref="NextValue"/> its values, or <see cref="NextRow"/> through everything.
/// Pins memory until disposed; may be kept while the worker goes on. Worker thread only.
/// </summary>
public sealed unsafe class TraceCursor<TTime> : IDisposable where TTime : unmanaged, ITime<TTime>
{
    private readonly Snapshot<TTime> _snapshot;
    private readonly TTime _time;
    private readonly GroupReader<TTime> _reader = new();
    private readonly byte[] _key = new byte[8];
    private byte* _value;
    private int _valueLength;
    private Merger<TTime>? _scan;
    private Batch<TTime>? _chunk;
    private int _chunkRow;
    private bool _disposed;

    internal TraceCursor(Trace<TTime> trace, TTime time)
    {
        if (!TTime.LessEqual(trace.Since, time))
            throw new ArgumentException($"the arrangement is readable from {trace.Since}, not at {time}", nameof(time));
        _snapshot = trace.TakeSnapshot();
        _time = time;
    }

    public RowShape KeyShape => _snapshot.Trace.KeyShape;

    public RowShape ValueShape => _snapshot.Trace.ValueShape;

    /// <summary>Key of the row that <see cref="NextRow"/> stands on; valid until the next call.</summary>
    public ReadOnlySpan<byte> Key
    {
        get
        {
            if (_chunk is not { } chunk)
                throw new InvalidOperationException("the cursor stands on no row");
            if (chunk.KeysStored)
                return chunk.Keys[_chunkRow];
            System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(_key, RowHash.Unmix(chunk.Hashes[_chunkRow]));
            return _key.AsSpan(0, KeyShape.Width);
        }
    }

    /// <summary>The value stood on; valid until the next call.</summary>
    public ReadOnlySpan<byte> Value => new(_value, _valueLength);

    /// <summary>Address of <see cref="Value"/>.</summary>
    public nint ValueAddress => (nint)_value;

    /// <summary>Multiplicity of the row stood on at the cursor's time; never zero.</summary>
    public long Diff { get; private set; }

    /// <summary>Goes to a key; its values follow by <see cref="NextValue"/> in memcmp order. Whether there can be any.</summary>
    public bool Seek(ReadOnlySpan<byte> key)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        var hash = RowHash.Hash(KeyShape, key);
        _reader.Start();
        _reader.Limit(_time, strict: false, TTime.Minimum);
        fixed (byte* k = key)
            _reader.Add(_snapshot, hash, k, key.Length, filtered: true);
        return true;
    }

    /// <summary>The next value of the key sought, with its <see cref="Diff"/>.</summary>
    public bool NextValue()
    {
        var any = _reader.Next(out _value, out _valueLength, out var diff);
        Diff = diff;
        return any;
    }

    /// <summary>
    /// The next row of the whole arrangement, consolidated, in hash order; false at the end. Merges a window at a time: memory is O(window), a caller may stop between any two rows
    /// and go on later.
    /// </summary>
    public bool NextRow()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_scan is null)
            StartScan();
        while (_chunk is null || ++_chunkRow >= _chunk.Count)
        {
            _chunk?.Release();
            _chunk = null;
            if (_scan!.IsDone)
                return false;
            while (!_scan.IsDone && _scan.PendingRows < 2048)
                _scan.Work(1024);
            _chunk = _scan.TakeWritten();
            _chunkRow = -1;
        }

        _value = _chunk.Values.Address(_chunkRow);
        _valueLength = _chunk.Values.Length(_chunkRow);
        Diff = _chunk.DiffAt(_chunkRow);
        return true;
    }

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _chunk?.Release();
        _chunk = null;
        _scan?.Dispose();
        _reader.Dispose();
        _snapshot.Release();
    }

    private void StartScan()
    {
        // Its own tools: the trace may merge between two calls.
        var tools = _snapshot.Trace.Tools;
        var batches = new List<Batch<TTime>>(_snapshot.Batches);
        var recent = _snapshot.Recent?.Sort(tools, _snapshot.RecentCount, TTime.Minimum);
        if (recent is not null)
            batches.Add(recent);
        _scan = new Merger<TTime>(tools, batches.ToArray(), pieceRows: 65536) { AsOf = _time };
        recent?.Release();
    }
}
