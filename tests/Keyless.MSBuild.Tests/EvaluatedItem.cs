using System.Collections;
using System.Text.Json.Nodes;
using Keyless.Testing;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace Keyless.MSBuild.Tests;

/// <summary>An item as MSBuild has made it of a project file, with the file that has it.</summary>
internal sealed class EvaluatedItem : ITaskItem
{
    private readonly TaskItem item;
    private readonly string file;

    private EvaluatedItem(TaskItem item, string file) => (this.item, this.file) = (item, file);

    public string ItemSpec { get => item.ItemSpec; set => item.ItemSpec = value; }

    public ICollection MetadataNames => item.MetadataNames;

    public int MetadataCount => item.MetadataCount;

    /// <summary>The items of one name, by the real MSBuild.</summary>
    /// <param name="project">Absolute.</param>
    public static async Task<ITaskItem[]> ReadAsync(string project, string name, CancellationToken cancel, params string[] arguments)
    {
        DotNetResult result = await DotNet.RunAsync(Path.GetDirectoryName(project)!, ["msbuild", project, "-nologo", $"-getItem:{name}", .. arguments], new Dictionary<string, string>(), cancel);
        Assert.AreEqual(0, result.ExitCode, result.ToString());
        return [.. JsonNode.Parse(result.Output)!["Items"]![name]!.AsArray().Select(each => Read(each!.AsObject()))];
    }

    public IDictionary CloneCustomMetadata() => item.CloneCustomMetadata();

    public void CopyMetadataTo(ITaskItem destinationItem) => item.CopyMetadataTo(destinationItem);

    public string GetMetadata(string metadataName) => metadataName == "DefiningProjectFullPath" ? file : item.GetMetadata(metadataName);

    public void RemoveMetadata(string metadataName) => item.RemoveMetadata(metadataName);

    public void SetMetadata(string metadataName, string metadataValue) => item.SetMetadata(metadataName, metadataValue);

    private static EvaluatedItem Read(JsonObject evaluated)
    {
        var item = new TaskItem((string)evaluated["Identity"]!);
        string[] own = [.. item.MetadataNames.Cast<string>(), "Identity", "DefiningProjectFullPath"];
        foreach ((string name, JsonNode? value) in evaluated.Where(each => !own.Contains(each.Key)))
        {
            ((ITaskItem2)item).SetMetadataValueLiteral(name, (string)value!);
        }

        return new EvaluatedItem(item, (string)evaluated["DefiningProjectFullPath"]!);
    }
}
