namespace Microsoft.Build.Framework;

/// <summary>
/// Says that a task uses nothing of its process that other tasks share (current directory, environment writes, mutable statics), so that
/// MSBuild's multithreaded mode runs it in place. MSBuild looks for the name only; its own attribute is younger than the oldest MSBuild we
/// load into.
/// </summary>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
internal sealed class MSBuildMultiThreadableTaskAttribute : Attribute;
