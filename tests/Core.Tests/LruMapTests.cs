using Materialize.Core.Collections;
using Xunit;

namespace Materialize.Core.Tests;

/// <summary>Goal: the map keeps what was used last. Method: random use beside a list in order of use.</summary>
public class LruMapTests
{
    [Fact]
    public void Keeps_the_entries_that_were_used_last()
    {
        var random = new Random(1);
        var map = new LruMap<int, int>(8);
        var model = new List<(int Key, int Value)>();   // the last used is last
        for (var i = 0; i < 20_000; i++)
        {
            var key = random.Next(16);
            var at = model.FindIndex(e => e.Key == key);
            if (random.Next(2) == 0)
            {
                Assert.Equal(at >= 0, map.TryGet(key, out var value));
                if (at < 0)
                    continue;
                Assert.Equal(model[at].Value, value);
                model.Add(model[at]);
                model.RemoveAt(at);
                continue;
            }

            map.Set(key, i);
            if (at >= 0)
                model.RemoveAt(at);
            else if (model.Count == 8)
                model.RemoveAt(0);
            model.Add((key, i));
            Assert.Equal(model.Count, map.Count);
        }
    }
}
