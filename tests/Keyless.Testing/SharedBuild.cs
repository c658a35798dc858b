using System.Collections;
using System.Collections.Concurrent;
using Microsoft.Build.Framework;

namespace Keyless.Testing;

/// <summary>One build in one process: what a task registers here, the tasks of other projects find, until the build ends.</summary>
public sealed class SharedBuild : IDisposable
{
    private readonly ConcurrentDictionary<object, object> registered = new();

    /// <summary>For the task of one project.</summary>
    public RecordingEngine CreateEngine() => new Engine(registered);

    /// <summary>Ends the build, as MSBuild does: what can be disposed of is.</summary>
    public void Dispose()
    {
        foreach (object kept in registered.Values)
        {
            (kept as IDisposable)?.Dispose();
        }
    }

    private sealed class Engine(ConcurrentDictionary<object, object> registered) : RecordingEngine, IBuildEngine4
    {
        public bool IsRunningMultipleNodes => true;

        public object? GetRegisteredTaskObject(object key, RegisteredTaskObjectLifetime lifetime) =>
            lifetime == RegisteredTaskObjectLifetime.Build ? registered.GetValueOrDefault(key) : throw new NotSupportedException("nothing of ours outlives a build");

        public void RegisterTaskObject(object key, object obj, RegisteredTaskObjectLifetime lifetime, bool allowEarlyCollection) => registered.TryAdd(key, obj);

        public object? UnregisterTaskObject(object key, RegisteredTaskObjectLifetime lifetime) => registered.TryRemove(key, out object? kept) ? kept : null;

        public void Yield() { }

        public void Reacquire() { }

        public bool BuildProjectFile(string projectFileName, string[] targetNames, IDictionary globalProperties, IDictionary targetOutputs, string toolsVersion) =>
            throw new NotSupportedException("no task of ours builds projects");

        public bool BuildProjectFilesInParallel(
            string[] projectFileNames, string[] targetNames, IDictionary[] globalProperties, IDictionary[] targetOutputsPerProject, string[] toolsVersion, bool useResultsCache, bool unloadProjectsOnCompletion) =>
            throw new NotSupportedException("no task of ours builds projects");

        public BuildEngineResult BuildProjectFilesInParallel(
            string[] projectFileNames, string[] targetNames, IDictionary[] globalProperties, IList<string>[] removeGlobalProperties, string[] toolsVersion, bool returnTargetOutputs) =>
            throw new NotSupportedException("no task of ours builds projects");
    }
}
