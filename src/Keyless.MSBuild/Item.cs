using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

namespace Keyless.MSBuild;

/// <summary>Makes items for the build from text that is not ours.</summary>
internal static class Item
{
    public static TaskItem Of(string reference, params ReadOnlySpan<(string Name, string Value)> metadata)
    {
        var item = new TaskItem(reference);
        // Literally: a certificate may name %3B or $(…), and that must come out as it went in.
        foreach ((string name, string value) in metadata)
        {
            ((ITaskItem2)item).SetMetadataValueLiteral(name, value);
        }

        return item;
    }
}
