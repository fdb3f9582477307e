using Materialize.Core.Collections;
using Materialize.Interchange;
using Materialize.Protocol;

namespace Materialize.Storage;

/// <summary>Takes the columns of an export out of upstream rows of one shape.</summary>
internal sealed class TableColumns : IDisposable
{
    private readonly int[] _positions;
    private readonly TextRowBuilder _row;

    /// <param name="export">What was planned.</param>
    /// <param name="relation">What upstream has now.</param>
    /// <exception cref="DefiniteException">Upstream has changed so that the export cannot be followed.</exception>
    public TableColumns(SourceExport export, Relation relation)
    {
        CheckIdentity(export, relation.ReplicaIdentity);
        _positions = new int[export.Columns.Count];
        for (var i = 0; i < _positions.Length; i++)
        {
            var column = export.Columns[i];
            _positions[i] = Find(relation.Columns, column.Name);
            if (_positions[i] < 0)
                throw new DefiniteException($"{NameOf(export)}: column \"{column.Name}\" was dropped or renamed upstream");
            CheckType(export, column, relation.Columns[_positions[i]]);
        }

        _row = new TextRowBuilder(export.Metadata.Desc);
    }

    public static string NameOf(SourceExport export) => $"upstream table \"{export.UpstreamSchema}\".\"{export.UpstreamTable}\"";

    /// <exception cref="DefiniteException">Old rows do not come with changes.</exception>
    public static void CheckIdentity(SourceExport export, char identity)
    {
        if (identity != 'f')
        {
            throw new DefiniteException(
                $"{NameOf(export)} does not have REPLICA IDENTITY FULL",
                $"Run ALTER TABLE \"{export.UpstreamSchema}\".\"{export.UpstreamTable}\" REPLICA IDENTITY FULL upstream, then drop and create this table again.");
        }
    }

    /// <exception cref="DefiniteException">The column's type has changed.</exception>
    public static void CheckType(SourceExport export, UpstreamColumn planned, RelationColumn now)
    {
        if (planned.TypeOid != now.TypeOid || planned.TypeModifier != now.TypeModifier)
            throw new DefiniteException($"{NameOf(export)}: the type of column \"{planned.Name}\" was changed upstream");
    }

    /// <summary>The row that a tuple is. Valid until the next call.</summary>
    /// <param name="old">Where values that an update left alone are; null if there is none.</param>
    /// <exception cref="DefiniteException">A value has no place in its column.</exception>
    public ReadOnlySpan<byte> Row(ReadOnlySpan<byte> message, PgTuple tuple, PgTuple? old, SourceExport export)
    {
        try
        {
            _row.Start();
            foreach (var position in _positions)
            {
                var source = tuple;
                if (tuple.IsUnchanged(position))
                    source = old is not null && !old.IsUnchanged(position) ? old : throw new DefiniteException($"{NameOf(export)}: an update came without its old row");
                if (source.IsNull(position))
                    _row.AddNull();
                else
                    _row.Add(source.Text(message, position));
            }

            return _row.Row;
        }
        catch (InterchangeException e)
        {
            throw new DefiniteException($"{NameOf(export)}: {e.Message}", e.Detail);
        }
    }

    public void Dispose() => _row.Dispose();

    private static int Find(IReadOnlyList<RelationColumn> columns, string name)
    {
        for (var i = 0; i < columns.Count; i++)
        {
            if (columns[i].Name == name)
                return i;
        }

        return -1;
    }
}
