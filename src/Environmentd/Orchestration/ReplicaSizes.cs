using System.Globalization;
using System.Text.Json;
using Materialize.Controller;

namespace Materialize.Environmentd;

/// <summary>The sizes that a cluster may have.</summary>
internal static class ReplicaSizes
{
    /// <param name="standard">The size of clusters that name none.</param>
    /// <param name="more">Sizes of the installation's own; they win over those of the same name.</param>
    public static Dictionary<string, ReplicaSize> With(ReplicaSize standard, IEnumerable<ReplicaSize> more)
    {
        var sizes = new Dictionary<string, ReplicaSize> { [standard.Name] = standard };
        foreach (var workers in (int[])[1, 2, 4, 8, 16])
            Add(new ReplicaSize($"{workers}", 1, workers));
        foreach (var (name, workers, mebibytes) in ((string, int, long)[])
            [("25cc", 1, 3881), ("50cc", 1, 7762), ("100cc", 1, 15525), ("200cc", 2, 31050), ("300cc", 3, 46575), ("400cc", 4, 62100), ("600cc", 6, 93150), ("800cc", 8, 124201)])
            Add(new ReplicaSize(name, 1, workers) { MemoryLimit = mebibytes << 20 });

        // Local names say what they are: processes, and workers of each.
        foreach (var n in (int[])[1, 2, 4, 8, 16, 32])
        {
            Local(1, n);
            Local(n, 1);
            Local(n, n);
            foreach (var gibibytes in (int[])[4, 8, 16, 32])
                Local(1, n, gibibytes);
        }

        Local(2, 4);
        foreach (var size in more)
            Add(size);
        return sizes;

        void Add(ReplicaSize size) => sizes[size.Name] = size;

        void Local(int processes, int workers, int? gibibytes = null) => Add(
            new ReplicaSize($"scale={processes},workers={workers}{(gibibytes is null ? "" : $",mem={gibibytes}GiB")}", processes, workers) { MemoryLimit = (long?)gibibytes << 30 });
    }

    /// <summary>Reads an object of sizes: name → scale, workers, memory_limit, disk_limit and more that concerns nobody here (reference: deployment §1.3).</summary>
    /// <exception cref="FormatException">It is no such object; the message says where.</exception>
    public static IReadOnlyList<ReplicaSize> Parse(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new FormatException("an object of sizes is expected");
            return [.. document.RootElement.EnumerateObject().Where(s => !(Value(s, "disabled")?.GetBoolean() ?? false)).Select(s =>
                new ReplicaSize(s.Name, Count(s, "scale", ushort.MaxValue), Count(s, "workers", 1024))
                {
                    MemoryLimit = Value(s, "memory_limit") is { } memory ? Bytes(s.Name, "memory_limit", memory) : null,
                    HasScratch = Value(s, "disk_limit") is not { } disk || Bytes(s.Name, "disk_limit", disk) > 0,
                })];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new FormatException(e.Message, e);
        }
    }

    private static JsonElement? Value(JsonProperty size, string key) =>
        size.Value.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static int Count(JsonProperty size, string key, int most) =>
        Value(size, key) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var count) && count >= 1 && count <= most
            ? count
            : throw new FormatException($"size \"{size.Name}\": {key} must be a number from 1 to {most}");

    /// <summary>As <c>3881MiB</c>, <c>4 GB</c>, or a number.</summary>
    private static long Bytes(string size, string key, JsonElement value)
    {
        var text = (value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText()).Trim();
        var digits = text.TrimEnd([.. "kKMGTiB "]);
        long? unit = text[digits.Length..].Trim() switch
        {
            "" or "B" => 1,
            "kB" or "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "TB" => 1_000_000_000_000,
            "KiB" => 1L << 10,
            "MiB" => 1L << 20,
            "GiB" => 1L << 30,
            "TiB" => 1L << 40,
            _ => null,
        };
        return unit is not null && decimal.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number * unit.Value <= long.MaxValue
            ? (long)(number * unit.Value)
            : throw new FormatException($"size \"{size}\": {key}: \"{text}\" is no number of bytes");
    }
}
