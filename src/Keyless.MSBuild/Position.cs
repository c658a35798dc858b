using System.Xml;
using System.Xml.Linq;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>Where something stands in a file that a person wrote, so that whoever reads about it gets there at once.</summary>
/// <param name="File">Absolute.</param>
/// <param name="Line">From 1; 0 where only the file is known.</param>
/// <param name="Column">From 1; 0 where only the line or the file is known.</param>
internal sealed record Position(string File, int Line = 0, int Column = 0)
{
    /// <summary>As compilers write it: <c>compose.yaml(4,22)</c>.</summary>
    public override string ToString() => Line == 0 ? File : FormattableString.Invariant($"{File}({Line},{Column})");
}

/// <summary>Finds the elements of items in the project files that have them, each of which is read once; and those of properties.</summary>
internal sealed class ItemPositions
{
    /// <summary>A project file is some KiB; what is larger is not searched.</summary>
    private const int LargestProject = 4 * 1024 * 1024;

    private const string DefiningFile = "DefiningProjectFullPath";

    private static readonly string[] NoMetadata = ["Include", "Exclude", "Condition", "Label", "KeepDuplicates", "KeepMetadata", "RemoveMetadata"];

    private readonly Dictionary<string, XElement[]> files = new(StringComparer.Ordinal);

    /// <summary>
    /// MSBuild tells the file alone, so the line is where the one element of that name is that includes exactly this, or the only one of that name;
    /// of several, the one whose metadata can have become that of the item. Else the file is all that is known.
    /// </summary>
    /// <returns>Null where no file has it: a target made it.</returns>
    public Position? Of(string itemName, ITaskItem item)
    {
        string file = item.GetMetadata(DefiningFile);
        return file.Length == 0 ? null : ElementOf(itemName, item) is IXmlLineInfo only && only.HasLineInfo() ? new Position(file, only.LineNumber, only.LinePosition) : new Position(file);
    }

    /// <summary>A value of the item as it is written; null where that is not known, or something else has set it.</summary>
    public WrittenValue? Written(string itemName, ITaskItem item, string metadata) =>
        ElementOf(itemName, item) is { } element && WrittenIn(element).FirstOrDefault(value => value.Name.Equals(metadata, StringComparison.OrdinalIgnoreCase)).Text is { } text ? new WrittenValue(text) : null;

    private XElement? ElementOf(string itemName, ITaskItem item)
    {
        string file = item.GetMetadata(DefiningFile);
        if (file.Length == 0)
        {
            return null;
        }

        if (!files.TryGetValue(file, out XElement[]? elements))
        {
            files.Add(file, elements = Read(file));
        }

        XElement[] all = [.. elements.Where(element => element.Name.LocalName.Equals(itemName, StringComparison.OrdinalIgnoreCase) && element.Attribute("Include") is not null)];
        XElement[] exact = [.. all.Where(element => element.Attribute("Include")!.Value.Split(';', StringSplitOptions.TrimEntries).Contains(item.ItemSpec))];
        // Made of a property, but by the only element there is.
        XElement[] candidates = exact.Length > 0 ? exact : all;
        XElement[] alike = candidates.Length > 1 ? [.. candidates.Where(element => WrittenIn(element).All(value => new WrittenValue(value.Text).CanBe(item.GetMetadata(value.Name))))] : candidates;
        return alike is [var only] ? only : null;
    }

    /// <summary>Where a project file gives a property its value: the line of the one element that does; else the file is all that is known.</summary>
    public static Position OfProperty(string project, string name, string value) =>
        Read(project).Where(element => element.Name.LocalName == name && element.Value == value).ToArray() is [IXmlLineInfo only] && only.HasLineInfo()
            ? new Position(project, only.LineNumber, only.LinePosition)
            : new Position(project);

    private static IEnumerable<(string Name, string Text)> WrittenIn(XElement element) =>
    [
        .. element.Attributes().Where(attribute => !attribute.IsNamespaceDeclaration && !NoMetadata.Contains(attribute.Name.LocalName)).Select(attribute => (attribute.Name.LocalName, attribute.Value)),
        .. element.Elements().Select(child => (child.Name.LocalName, child.Value)),
    ];

    /// <summary>Never a reason to fail: it is about where to point, and MSBuild has read the file already.</summary>
    private static XElement[] Read(string file)
    {
        try
        {
            if (new FileInfo(file).Length > LargestProject)
            {
                return [];
            }

            using var reader = XmlReader.Create(file, new XmlReaderSettings { DtdProcessing = DtdProcessing.Prohibit, XmlResolver = null });
            return [.. XDocument.Load(reader, LoadOptions.SetLineInfo).Descendants()];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or XmlException)
        {
            return [];
        }
    }
}
