using Materialize.Controller;

namespace Materialize.Environmentd;

/// <summary>The sizes that a cluster may have.</summary>
internal static class ReplicaSizes
{
    /// <param name="standard">The size of clusters that name none.</param>
    public static Dictionary<string, ReplicaSize> With(ReplicaSize standard)
    {
        var sizes = new Dictionary<string, ReplicaSize> { [standard.Name] = standard };
        foreach (var workers in (int[])[1, 2, 4, 8, 16])
            sizes[$"{workers}"] = new ReplicaSize($"{workers}", 1, workers);
        foreach (var name in (string[])["25cc", "50cc", "100cc"])
            sizes[name] = new ReplicaSize(name, 1, 1);
        foreach (var (name, workers) in ((string, int)[])[("200cc", 2), ("300cc", 3), ("400cc", 4), ("600cc", 6), ("800cc", 8)])
            sizes[name] = new ReplicaSize(name, 1, workers);

        // Local names say what they are: processes, and workers of each.
        foreach (var n in (int[])[1, 2, 4, 8, 16, 32])
        {
            Local(1, n);
            Local(n, 1);
            Local(n, n);
            foreach (var gigabytes in (int[])[4, 8, 16, 32])
                Local(1, n, $",mem={gigabytes}GiB");
        }

        Local(2, 4);
        return sizes;

        void Local(int processes, int workers, string more = "")
        {
            var name = $"scale={processes},workers={workers}{more}";
            sizes[name] = new ReplicaSize(name, processes, workers);
        }
    }
}
