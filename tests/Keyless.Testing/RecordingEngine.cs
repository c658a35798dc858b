using System.Collections;
using System.Text;
using Microsoft.Build.Framework;

namespace Keyless.Testing;

/// <summary>An MSBuild for one task: renders what it logs as text, an event a line, so that a test can compare the whole log.</summary>
public class RecordingEngine : IBuildEngine
{
    private readonly Lock gate = new();
    private readonly StringBuilder log = new();
    private readonly List<BuildErrorEventArgs> errors = [];
    private readonly List<BuildWarningEventArgs> warnings = [];

    /// <summary>
    /// <c>error KEYLESS1001: …</c>, <c>warning KEYLESS4002: …</c>, <c>high: …</c>, <c>normal: …</c> or <c>low: …</c>, an event a line.
    /// </summary>
    public string Log
    {
        get
        {
            lock (gate)
            {
                return log.ToString();
            }
        }
    }

    public IReadOnlyList<BuildErrorEventArgs> Errors
    {
        get
        {
            lock (gate)
            {
                return [.. errors];
            }
        }
    }

    public IReadOnlyList<BuildWarningEventArgs> Warnings
    {
        get
        {
            lock (gate)
            {
                return [.. warnings];
            }
        }
    }

    public bool ContinueOnError => false;

    public int LineNumberOfTaskNode => 0;

    public int ColumnNumberOfTaskNode => 0;

    public string ProjectFileOfTaskNode => "test.proj";

    public void LogErrorEvent(BuildErrorEventArgs e)
    {
        lock (gate)
        {
            errors.Add(e);
        }

        Write($"error {e.Code}: {e.Message}");
    }

    public void LogWarningEvent(BuildWarningEventArgs e)
    {
        lock (gate)
        {
            warnings.Add(e);
        }

        Write($"warning {e.Code}: {e.Message}");
    }

    public virtual void LogMessageEvent(BuildMessageEventArgs e) => Write($"{e.Importance.ToString().ToLowerInvariant()}: {e.Message}");

    public void LogCustomEvent(CustomBuildEventArgs e) => throw new NotSupportedException("no task of ours logs custom events");

    public bool BuildProjectFile(string projectFileName, string[] targetNames, IDictionary globalProperties, IDictionary targetOutputs) =>
        throw new NotSupportedException("no task of ours builds projects");

    private void Write(string line)
    {
        lock (gate)
        {
            log.Append(line).Append('\n');
        }
    }
}
