using Materialize.SystemTests.Support;

// Every test drives the same two processes: side by side they would only wait for each other's processor time.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
[assembly: AssemblyFixture(typeof(SharedServer))]
