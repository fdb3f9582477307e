using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Materialize.Core.Rows;
using Materialize.Dataflow;
using Materialize.Dataflow.Runtime;

namespace Materialize.Dataflow.Tests;

/// <summary>Workers of several "processes" over loopback TCP: same answers, an orderly end when a peer dies, no mixing of epochs.</summary>
[Collection("memory is counted process-wide")]
public sealed class MeshTests
{
    [Theory, InlineData(2, 1), InlineData(2, 2), InlineData(3, 1)]
    public async Task Processes_give_the_answers_of_one(int processes, int workers)
    {
        var cancel = TestContext.Current.CancellationToken;
        var meshes = await JoinAsync(processes, workers, cancel);
        var total = processes * workers;
        var handles = new InputHandle<Time>[total];
        var output = new Captured();
        using var built = new CountdownEvent(total);
        var closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously); // not on a worker, which would wait for itself
        var (key, value) = (new Codec(8), new Codec(-1));
        foreach (var mesh in meshes)
        {
            mesh.Group.Failed += (_, e) => closed.TrySetException(e);
            mesh.Group.Start();
            mesh.Group.PostToAll(worker =>
            {
                worker.BuildDataflow("mesh", scope =>
                {
                    (handles[worker.Index], var stream) = scope.NewInput("input", PairRows.Text.Shape, 0);
                    var arranged = stream.Arrange("a", Kernels.Split(PairRows.Text, key, value), key.Shape, value.Shape).Arranged;
                    var joined = arranged.Join("self", arranged, Kernels.Joined(key, value, value, PairRows.Fixed), PairRows.Fixed.Shape).Ok;
                    var distinct = joined.Map("swap", Kernels.Map(PairRows.Fixed, PairRows.Text, (a, b) => (b % 50, a)), PairRows.Text.Shape).Ok.Distinct();
                    output.Attach(distinct, PairRows.Text, worker.Index);
                    distinct.ForEach("end", null, _ =>
                    {
                        lock (output.Updates)
                        {
                            if (output.Frontiers.Count == total && output.Frontier.IsClosed)
                                closed.TrySetResult();
                        }
                    });
                });
                built.Signal();
            });
        }

        built.Wait(cancel);
        var script = new Script(total, 25, 20);
        for (var time = 0UL; time < 40; time++)
        {
            var round = script.Round(time, 60);
            ForEachWorker(meshes, w =>
            {
                var mine = round.Where((_, i) => i % total == w).ToList();
                var next = time + 1;
                return _ =>
                {
                    foreach (var u in mine)
                        handles[w].Send(PairRows.Text.Encode(u.A, u.B), u.Time, u.Diff);
                    handles[w].AdvanceTo(next);
                };
            });
        }

        ForEachWorker(meshes, w => _ => handles[w].Close());
        await closed.Task.WaitAsync(TimeSpan.FromSeconds(60), cancel);
        for (var t = 0UL; t < 40; t += 3)
        {
            var input = Bag.At(script.Updates, t);
            new Bag(new Bag(from l in input from r in input where r.Key.A == l.Key.A select ((((l.Key.B * 1000) + r.Key.B) % 50, l.Key.A), l.Value * r.Value))
                .Where(r => r.Value > 0).Select(r => (r.Key, 1L))).MustEqual(output.At(t), $"at {t}");
        }

        foreach (var mesh in meshes)
            await mesh.DisposeAsync();
    }

    [Fact]
    public async Task More_than_the_credit_flows()
    {
        // One process makes 200 MB for the other, by a flat map: it has to stop for credit several times, and nothing is lost.
        const int rowBytes = 10_000;
        const int rows = 20_000;
        var cancel = TestContext.Current.CancellationToken;
        var meshes = await JoinAsync(2, 1, cancel);
        var seen = 0L;
        var closed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously); // not on a worker, which would wait for itself
        foreach (var mesh in meshes)
        {
            mesh.Group.Failed += (_, e) => closed.TrySetException(e);
            mesh.Group.Start();
            mesh.Group.PostToAll(worker => worker.BuildDataflow("wide", scope =>
            {
                var (handle, stream) = scope.NewInput("input", new RowShape(8), 0);
                var wide = stream.FlatMap("widen", (_, to) =>
                {
                    for (var i = 0; i < 10; i++)
                    {
                        unsafe
                        {
                            new Span<byte>(to.Rows.Reserve(rowBytes), rowBytes).Fill((byte)i);
                        }

                        to.Rows.Commit(rowBytes);
                    }

                    to.Position++;
                    to.More = to.Position < rows / 10;
                }, RowShape.Variable).Ok;
                wide.Gather(1).ForEach("count", batch => Interlocked.Add(ref seen, batch.Count), frontier =>
                {
                    if (worker.Index == 1 && frontier.IsClosed)
                        closed.TrySetResult();
                });
                if (worker.Index == 0)
                    handle.Send(new byte[8], 0, 1);
                handle.Close();
            }));
        }

        await closed.Task.WaitAsync(TimeSpan.FromSeconds(60), cancel);
        Assert.Equal(rows, seen);
        foreach (var mesh in meshes)
            await mesh.DisposeAsync();
    }

    [Fact]
    public async Task A_lost_peer_ends_the_epoch()
    {
        var cancel = TestContext.Current.CancellationToken;
        var meshes = await JoinAsync(2, 1, cancel);
        await meshes[1].DisposeAsync();
        var lost = await Assert.ThrowsAsync<PeerLostException>(() => meshes[0].Ended.WaitAsync(TimeSpan.FromSeconds(20), cancel));
        Assert.Equal(1, lost.Process);
        await meshes[0].DisposeAsync();
    }

    [Fact]
    public async Task A_process_of_another_epoch_does_not_get_in()
    {
        var cancel = TestContext.Current.CancellationToken;
        var listeners = Listeners(2);
        var first = Mesh.JoinAsync(new MeshOptions("r1", 8, 0, listeners.Length, 1), new SocketNetwork(listeners, 0), cancel);
        using var giveUp = new CancellationTokenSource();
        var stale = Mesh.JoinAsync(new MeshOptions("r1", 7, 1, listeners.Length, 1), new SocketNetwork(listeners, 1), giveUp.Token);

        // Another stranger is answered and turned away, which is after the stale one was: connections are taken in order.
        using var stranger = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await stranger.ConnectAsync(listeners[0].LocalEndPoint!, cancel);
        await stranger.SendAsync(new byte[64], SocketFlags.None, cancel);
        await ReadToEndAsync(stranger, cancel);
        Assert.False(first.IsCompleted);
        Assert.False(stale.IsCompleted);
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stale);
        var second = await Mesh.JoinAsync(new MeshOptions("r1", 8, 1, listeners.Length, 1), new SocketNetwork(listeners, 1), cancel);
        await using var joined = await first;
        await using var other = second;
        foreach (var listener in listeners)
            listener.Dispose();
    }

    /// <summary>The patience for one that says nothing is seconds; many of them, one after the other, would be minutes.</summary>
    [Fact]
    public async Task Strangers_that_say_nothing_or_nonsense_keep_no_peer_waiting()
    {
        var cancel = TestContext.Current.CancellationToken;
        var listeners = Listeners(2);
        var first = Mesh.JoinAsync(new MeshOptions("r1", 1, 0, 2, 1), new SocketNetwork(listeners, 0), cancel);
        var strangers = new List<Socket>();
        for (var i = 0; i < 60; i++)
        {
            var stranger = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await stranger.ConnectAsync(listeners[0].LocalEndPoint!, cancel);
            strangers.Add(stranger);

            // Silent, or half a greeting, or what another program would say.
            if (i % 3 == 1)
                await stranger.SendAsync(BitConverter.GetBytes(0x4853454D5A4DUL), SocketFlags.None, cancel);
            else if (i % 3 == 2)
                await stranger.SendAsync("GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"u8.ToArray(), SocketFlags.None, cancel);
        }

        await using var second = await Mesh.JoinAsync(new MeshOptions("r1", 1, 1, 2, 1), new SocketNetwork(listeners, 1), cancel);
        await using var joined = await first.WaitAsync(TimeSpan.FromSeconds(20), cancel);

        // All who waited were let go.
        foreach (var stranger in strangers)
        {
            await ReadToEndAsync(stranger, cancel);
            stranger.Dispose();
        }

        foreach (var listener in listeners)
            listener.Dispose();
    }

    [Fact]
    public async Task A_peer_of_another_layout_is_an_error()
    {
        var cancel = TestContext.Current.CancellationToken;
        var listeners = Listeners(2);
        using var giveUp = new CancellationTokenSource();
        var first = Mesh.JoinAsync(new MeshOptions("r1", 7, 0, listeners.Length, 1), new SocketNetwork(listeners, 0), giveUp.Token);
        await Assert.ThrowsAsync<InvalidDataException>(() => Mesh.JoinAsync(new MeshOptions("r1", 7, 1, listeners.Length, 2), new SocketNetwork(listeners, 1), cancel));
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        foreach (var listener in listeners)
            listener.Dispose();
    }

    [Fact]
    public async Task Control_messages_come_in_the_order_of_sending()
    {
        var cancel = TestContext.Current.CancellationToken;
        var meshes = await JoinAsync(3, 1, cancel);
        for (var i = 0; i < 1000; i++)
            meshes[0].SendControl(BitConverter.GetBytes(i));
        foreach (var follower in meshes.Skip(1))
        {
            for (var i = 0; i < 1000; i++)
                Assert.Equal(i, BitConverter.ToInt32(await follower.Control.ReadAsync(cancel)));
        }

        foreach (var mesh in meshes)
            await mesh.DisposeAsync();
    }

    private static async Task ReadToEndAsync(Socket socket, CancellationToken cancel)
    {
        try
        {
            while (await socket.ReceiveAsync(new byte[256], SocketFlags.None, cancel) > 0)
            {
            }
        }
        catch (SocketException)
        {
            // Ended with a reset, since what was sent had not all been read.
        }
    }

    private static void ForEachWorker(Mesh[] meshes, Func<int, Action<Worker>> action)
    {
        foreach (var mesh in meshes)
        {
            foreach (var worker in mesh.Group.Workers)
                worker.Post(action(worker.Index));
        }
    }

    private static async Task<Mesh[]> JoinAsync(int processes, int workers, CancellationToken cancel)
    {
        var listeners = Listeners(processes);
        var joins = new Task<Mesh>[processes];
        for (var p = 0; p < processes; p++)
            joins[p] = Mesh.JoinAsync(new MeshOptions("r1", 1, p, listeners.Length, workers), new SocketNetwork(listeners, p), cancel);
        var meshes = await Task.WhenAll(joins);
        foreach (var listener in listeners)
            listener.Dispose();
        return meshes;
    }

    private static Socket[] Listeners(int count)
    {
        var listeners = new Socket[count];
        for (var i = 0; i < count; i++)
        {
            listeners[i] = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            listeners[i].Bind(new IPEndPoint(IPAddress.Loopback, 0));
            listeners[i].Listen();
        }

        return listeners;
    }

    /// <summary>Process <paramref name="process"/>'s end of loopback TCP.</summary>
    private sealed class SocketNetwork(Socket[] listeners, int process) : IMeshNetwork
    {
        public async ValueTask<IMeshLink> ConnectAsync(int peer, CancellationToken cancel)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(listeners[peer].LocalEndPoint!, cancel);
                return new Link(socket);
            }
            catch (SocketException e)
            {
                socket.Dispose();
                throw new IOException(e.Message, e);
            }
        }

        public async ValueTask<IMeshLink> AcceptAsync(CancellationToken cancel) => new Link(await listeners[process].AcceptAsync(cancel));

        private sealed class Link : IMeshLink
        {
            private readonly NetworkStream _stream;

            public Link(Socket socket)
            {
                _stream = new NetworkStream(socket, ownsSocket: true);
                Input = PipeReader.Create(_stream);
                Output = PipeWriter.Create(_stream);
            }

            public PipeReader Input { get; }

            public PipeWriter Output { get; }

            public ValueTask DisposeAsync() => _stream.DisposeAsync();
        }
    }
}
