using Keyless.Testing;

namespace Keyless.MSBuild.Tests;

/// <summary>Files read and written whole.</summary>
[TestClass]
public sealed class WholeFileTests
{
    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    [DataRow(4096)]
    [DataRow(4097)]
    [DataRow(100_000)]
    public void Are_read_up_to_the_last_byte_that_is_allowed(int length)
    {
        using var folder = new TemporaryFolder();
        byte[] content = new byte[length];
        Random.Shared.NextBytes(content);
        File.WriteAllBytes(folder["file"], content);

        CollectionAssert.AreEqual(content, WholeFile.Read("Some", folder["file"], length));
        CollectionAssert.AreEqual(content, WholeFile.Read("Some", folder["file"], 1_000_000));
        if (length > 0)
        {
            Assert.Contains($"is larger than {length - 1} bytes", Assert.ThrowsExactly<ConfigurationException>(() => WholeFile.Read("Some", folder["file"], length - 1)).Message);
        }
    }

    // The signatures that are kept of 64 images are read at a time, each file up to 96 MiB.
    [TestMethod]
    public void Take_no_more_memory_than_they_have()
    {
        using var folder = new TemporaryFolder();
        folder.Write("file", "a few bytes");
        _ = WholeFile.Read("Some", folder["file"], 1000);
        long before = GC.GetAllocatedBytesForCurrentThread();

        _ = WholeFile.Read("Some", folder["file"], 96 * 1024 * 1024);

        Assert.IsLessThan(64 * 1024, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    // What is no plain file has no length; its end is where it ends.
    [TestMethod]
    [OSCondition(OperatingSystems.Linux)]
    public void Are_read_up_to_their_end_where_they_have_no_length() =>
        Assert.AreEqual(File.ReadAllText("/proc/self/cmdline"), System.Text.Encoding.UTF8.GetString(WholeFile.Read("Some", "/proc/self/cmdline", 1_000_000)));
}
