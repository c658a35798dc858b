using System.Globalization;
using Microsoft.Build.Framework;

namespace Keyless.Testing;

/// <summary>A task for builds of several nodes: says which of them a project is built in.</summary>
[MSBuildMultiThreadableTask]
public sealed class SayProcess : Microsoft.Build.Utilities.Task
{
    [Required]
    public string Project { get; set; } = "";

    /// <summary>A file for <c>CustomAfterMicrosoftCommonTargets</c> that has it said after a target.</summary>
    public static string TargetsAfter(string target) => $"""
        <Project>
          <UsingTask TaskName="{typeof(SayProcess).FullName}" AssemblyFile="{typeof(SayProcess).Assembly.Location}" />
          <Target Name="_SayProcess" AfterTargets="{target}">
            <{typeof(SayProcess).FullName} Project="$(MSBuildProjectName)" />
          </Target>
        </Project>
        """;

    public override bool Execute()
    {
        Log.LogMessage(MessageImportance.High, string.Create(CultureInfo.InvariantCulture, $"{Project} is built in process {Environment.ProcessId}."));
        return true;
    }
}
