using System.Globalization;
using System.Text;

namespace Keyless.MSBuild.Manifests;

/// <summary>Where a field is: its names and indexes from the top. Written as <see cref="ImagePath"/> reads it.</summary>
internal sealed class FieldPath
{
    public static readonly FieldPath Top = new(null, "", 0);

    private readonly FieldPath? parent;
    private readonly string? name;
    private readonly int index;

    private FieldPath(FieldPath? parent, string? name, int index) => (this.parent, this.name, this.index) = (parent, name, index);

    public FieldPath Field(string field) => new(this, field, 0);

    public FieldPath Item(int item) => new(this, null, item);

    public override string ToString()
    {
        var steps = new Stack<FieldPath>();
        for (FieldPath at = this; at.parent is not null; at = at.parent)
        {
            steps.Push(at);
        }

        var text = new StringBuilder();
        foreach (FieldPath step in steps)
        {
            _ = step.name is null ? text.Append(CultureInfo.InvariantCulture, $"[{step.index}]")
                : !ImagePath.IsPlainName(step.name) ? text.Append(CultureInfo.InvariantCulture, $"['{step.name.Replace("'", "''", StringComparison.Ordinal)}']")
                : text.Length == 0 ? text.Append(step.name)
                : text.Append('.').Append(step.name);
        }

        return text.Length == 0 ? "the document" : text.ToString();
    }
}
