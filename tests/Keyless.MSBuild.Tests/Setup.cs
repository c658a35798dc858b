using Keyless.Testing;

[assembly: Parallelize(Scope = ExecutionScope.MethodLevel)]

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
