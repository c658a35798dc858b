using Keyless.Testing;

// More than there are cores: many of them wait, for a child or for what takes its time. Children have a limit of their own, in DotNet.
[assembly: Parallelize(Workers = 6, Scope = ExecutionScope.MethodLevel)]

namespace Keyless.MSBuild.Tests;

[TestClass]
public sealed class Setup
{
    private static readonly Lazy<Task<PackedFeed>> Packing = new(() => PackedFeed.PackAsync(CancellationToken.None));

    /// <summary>Packed once, when the first test asks for it.</summary>
    public static Task<PackedFeed> FeedAsync() => Packing.Value;

    [AssemblyCleanup]
    public static async Task Clean()
    {
        await Samples.CleanAsync();
        Shapes.Clean();
        if (Packing.IsValueCreated)
        {
            (await Packing.Value).Dispose();
        }
    }
}
