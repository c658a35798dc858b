using System.Reflection;

namespace Keyless.Testing;

/// <summary>Where this clone is. Known since the build: the current directory is whatever the test runner likes.</summary>
public static class Repository
{
    public static string Root { get; } = typeof(Repository).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == "RepositoryRoot").Value!;

    /// <summary>The configuration this was built in; what a test packs is what was built beside it.</summary>
    public static string Configuration { get; } = typeof(Repository).Assembly.GetCustomAttribute<AssemblyConfigurationAttribute>()!.Configuration;

    public static string PathTo(string relative) => Path.Combine(Root, relative.Replace('/', Path.DirectorySeparatorChar));

    /// <summary>The folder of a source file, also where deterministic builds shortened its path to begin with <c>/_/</c>.</summary>
    internal static string FolderOf(string sourceFile) =>
        Path.GetDirectoryName(sourceFile.StartsWith("/_/", StringComparison.Ordinal) ? PathTo(sourceFile[3..]) : sourceFile)!;
}
