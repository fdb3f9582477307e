using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Materialize.SystemTests.Durability;

/// <summary>Processes of a replica that reach each other otherwise than over unix sockets.</summary>
public sealed partial class LayoutTests
{
    private static readonly (string Cluster, string Size)[] OneAndTwo = [("c11", "scale=1,workers=1"), ("c22", "scale=2,workers=2")];

    [Fact]
    public async Task Processes_inside_environmentd_answer_alike_also_after_a_restart()
    {
        using var directory = new TemporaryDirectory();
        var random = new Random(18);
        await using (var first = await EnvironmentProcess.StartAsync(directory.Path, InProcessServer.InProcess))
        {
            await using var sql = new Sql(await first.ConnectAsync());
            await CreateAsync(sql, random, OneAndTwo);
            await CompareAsync(sql, OneAndTwo, "at first", asked: true);
            Assert.Empty(first.Clusterds);
            Assert.Equal(0, await first.StopAsync());
        }

        await using var second = await EnvironmentProcess.StartAsync(directory.Path, InProcessServer.InProcess);
        await using var again = new Sql(await second.ConnectAsync());
        await ChangeAsync(again, random);
        await CompareAsync(again, OneAndTwo, "after a restart");
        await again.DoAsync("DROP CLUSTER c22 CASCADE", "CREATE CLUSTER c22 REPLICAS (r1 (SIZE 'scale=2,workers=1'))", "SET cluster = c22");
        Assert.Equal(await again.OneAsync("SELECT count(*) FROM t, u"), await again.OneAsync("SELECT (SELECT count(*) FROM t) * (SELECT count(*) FROM u)"));
    }

    /// <summary>
    /// Over TCP, as in a deployment: anyone can connect to the port that a process listens on until its peers are there, and does: some say nothing, some
    /// nonsense, some that they are a peer, but of an epoch that is over.
    /// </summary>
    [Fact]
    public async Task Processes_over_TCP_answer_alike_whoever_else_connects_and_when_they_are_killed()
    {
        using var directory = new TemporaryDirectory();
        var ports = FreePorts(2);
        var launcher = Path.Combine(directory.Path, "clusterd-over-tcp");
        await File.WriteAllTextAsync(launcher, $"""
            #!/bin/sh
            # clusterd, but two processes of a replica meet over TCP.
            for argument in "$@"; do
                shift
                case "$argument" in unix:*,unix:*) argument=127.0.0.1:{ports[0]},127.0.0.1:{ports[1]};; esac
                set -- "$@" "$argument"
            done
            exec '{EnvironmentProcess.PathOf("clusterd")}' "$@"

            """);
        File.SetUnixFileMode(launcher, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await using var environment = await EnvironmentProcess.StartAsync(directory.Path, "--clusterd-image", launcher);
        await using var sql = new Sql(await environment.ConnectAsync());
        var random = new Random(19);
        using var enough = new CancellationTokenSource();
        var strangers = Task.WhenAll(
            StrangerAsync(ports[0], [], enough.Token),
            StrangerAsync(ports[0], "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"u8.ToArray(), enough.Token),
            StrangerAsync(ports[0], StaleHello("u3.u3"), enough.Token),
            StrangerAsync(ports[1], StaleHello("u3.u3"), enough.Token));
        await CreateAsync(sql, random, OneAndTwo);
        var pair = await sql.OneAsync("SELECT id FROM mz_clusters WHERE name = 'c22'");
        Assert.Equal("u3", pair);   // the stale peers claim to be of this replica
        await CompareAsync(sql, OneAndTwo, "at first", asked: true);
        foreach (var victim in (int[])[1, 0])
        {
            var before = environment.ProcessesOf(pair);
            Assert.Equal(2, before.Count);
            EnvironmentProcess.Kill(before[victim]);
            await ChangeAsync(sql, random);
            await CompareAsync(sql, OneAndTwo, $"after process {victim} was killed");
            Assert.Empty(environment.ProcessesOf(pair).Intersect(before));
        }

        await enough.CancelAsync();
        await strangers;
    }

    private static int[] FreePorts(int count)
    {
        var probes = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToList();
        probes.ForEach(p => p.Start());
        var ports = probes.Select(p => ((IPEndPoint)p.LocalEndpoint).Port).ToArray();
        probes.ForEach(p => p.Dispose());
        return ports;
    }

    /// <summary>Connects whenever somebody listens, says its line, and listens until it is turned away.</summary>
    private static async Task StrangerAsync(int port, byte[] line, CancellationToken cancel)
    {
        try
        {
            while (true)
            {
                using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                try
                {
                    await socket.ConnectAsync(IPAddress.Loopback, port, cancel);
                    await socket.SendAsync(line, cancel);
                    while (await socket.ReceiveAsync(new byte[256], cancel) > 0)
                    {
                    }
                }
                catch (SocketException)
                {
                    // Nobody listens, as is usual; or it was turned away.
                }

                // Nothing is waited for: a stranger that knocks now and then, and leaves the processor to those it disturbs.
                await Task.Delay(5, cancel);
            }
        }
        catch (OperationCanceledException)
        {
            // It was enough.
        }
    }

    /// <summary>What process 1 of two, with two workers each, said in an epoch that is over: src/Dataflow/Runtime/MeshFrames.cs.</summary>
    private static byte[] StaleHello(string replica)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        writer.Write(0x4853454D5A4DUL);
        writer.Write(1);
        writer.Write(7UL);
        writer.Write(1);
        writer.Write(2);
        writer.Write(2);
        writer.Write(replica.Length);
        writer.Write(Encoding.UTF8.GetBytes(replica));
        return bytes.ToArray();
    }
}
