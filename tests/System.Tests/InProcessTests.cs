using Materialize.SystemTests.Durability;
using Materialize.SystemTests.Queries;
using Materialize.SystemTests.Sources;

// What holds for replicas that are processes holds for those inside environmentd: the same tests, on another server.
namespace Materialize.SystemTests;

[CollectionDefinition("in-process")]
public sealed class InProcessCollection : ICollectionFixture<InProcessServer>;

[Collection("in-process")]
public sealed class InProcessMaintainedViewTests(InProcessServer server) : MaintainedViewTests(server);

[Collection("in-process")]
public sealed class InProcessSubscribeTests(InProcessServer server) : SubscribeTests(server);

[Collection("in-process")]
public sealed class InProcessTransactionTests(InProcessServer server) : TransactionTests(server);

[Collection("in-process")]
public sealed class InProcessCancelTests(InProcessServer server) : CancelTests(server);

[Collection("in-process")]
public sealed class InProcessSourceStatusTests(InProcessServer server) : SourceStatusTests(server);

public sealed class InProcessRestartTests : RestartTests
{
    protected override string[] Options => InProcessServer.InProcess;
}
