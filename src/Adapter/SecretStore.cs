using System.Text;
using Materialize.Repr;

namespace Materialize.Adapter;

/// <summary>The contents of secrets: one file each, readable by this user only, outside the catalog and never logged.</summary>
internal sealed class SecretStore
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _directory;

    public SecretStore(string directory)
    {
        _directory = directory;
        Directory.CreateDirectory(directory, OwnerOnly | UnixFileMode.UserExecute);
    }

    /// <summary>Durable when it returns; replaces the old contents whole.</summary>
    public void Put(GlobalId id, ReadOnlySpan<byte> contents)
    {
        var path = PathOf(id);
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = OwnerOnly };
        using (var file = new FileStream(path + ".new", options))
        {
            file.Write(contents);
            file.Flush(flushToDisk: true);
        }

        File.Move(path + ".new", path, overwrite: true);
    }

    /// <summary>Null when there is none.</summary>
    public string? Get(GlobalId id) => File.Exists(PathOf(id)) ? Encoding.UTF8.GetString(File.ReadAllBytes(PathOf(id))) : null;

    public void Remove(GlobalId id) => File.Delete(PathOf(id));

    private string PathOf(GlobalId id) => Path.Combine(_directory, id.ToString());
}
