using Keyless.MSBuild.Manifests;
using Keyless.Oci;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>
/// What a project asks to have verified: its <c>ContainerImageToVerify</c>, and the images in its <c>ContainerManifestFile</c>. One that is named
/// several times under one policy is one image, with several places.
/// </summary>
internal sealed class ImagesToVerify
{
    private const string ImageItem = "ContainerImageToVerify";
    private const string FileItem = "ContainerManifestFile";

    private readonly OrderedDictionary<(string Reference, TrustPolicy Policy, bool Recursive), (ImageReference Reference, List<Position> Positions)> images = [];
    private readonly List<ManifestFile> files = [];

    /// <param name="pathOf">Makes the path that something (named in the first argument) holds absolute.</param>
    /// <param name="warn">Told of what looks like an image and is none that is verified.</param>
    /// <exception cref="ConfigurationException">There is nothing, or something that cannot be read.</exception>
    public ImagesToVerify(ITaskItem[] items, ITaskItem[] manifests, TrustPolicies policies, Func<string, string, string> pathOf, Action<Diagnostic> warn)
    {
        if (items.Length + manifests.Length == 0)
        {
            throw new ConfigurationException(Diagnostics.NothingToVerify, $"there is nothing to verify: the project has no {ImageItem} and no {FileItem}");
        }

        foreach (ITaskItem item in items)
        {
            policies.Locating(ImageItem, item, () => Add(
                Parse(item), policies.For(ImageItem, item, "Recursive"), IsRecursive(ImageItem, item), policies.PositionOf(ImageItem, item)));
        }

        foreach (ITaskItem item in manifests)
        {
            files.Add(policies.Locating(FileItem, item, () => ReadFile(item, policies, pathOf, warn)));
        }

        RequireOutputs();
    }

    /// <summary>In the order of the items, then of the files and what is in them.</summary>
    public IReadOnlyList<ImageToVerify> Images => [.. images.Select(image => new ImageToVerify(image.Value.Reference, image.Key.Policy, image.Key.Recursive, image.Value.Positions))];

    /// <summary>Makes each file that has a <c>PinnedOutput</c> again, with the digests of what was verified.</summary>
    /// <returns>What writes them.</returns>
    /// <exception cref="ConfigurationException">One cannot be made.</exception>
    public Action Pin(IReadOnlyList<ImageOutcome> outcomes)
    {
        Dictionary<(string, TrustPolicy, bool), Digest> verified = outcomes.Where(outcome => outcome.IsVerified)
            .ToDictionary(outcome => (outcome.Image.Reference.Text, outcome.Image.Policy, outcome.Image.Recursive), outcome => outcome.Verdicts[0].Digest);
        (ManifestFile File, byte[] Pinned)[] written = [.. files.Where(file => file.PinnedOutput.Length > 0).Select(file =>
            (file, file.Manifest.Pin(image => verified.GetValueOrDefault((image.Reference.Text, file.Policy, file.Recursive)))))];
        return () =>
        {
            foreach ((ManifestFile file, byte[] pinned) in written)
            {
                WholeFile.Write(Output(file), file.PinnedOutput, pinned);
            }
        };
    }

    /// <summary>None is a file that is read, and all of them can be written. Paths that differ in case only are one file on some systems.</summary>
    private void RequireOutputs()
    {
        if (files.FirstOrDefault(file => files.Any(read => read.Path.Equals(file.PinnedOutput, StringComparison.OrdinalIgnoreCase))) is { } over)
        {
            throw new ConfigurationException(Diagnostics.Contradiction, $"the PinnedOutput '{over.PinnedOutput}' is read as a {FileItem}, and would be written over; give it another path");
        }

        foreach (ManifestFile file in files.Where(file => file.PinnedOutput.Length > 0))
        {
            WholeFile.CreateFolderOf(Output(file), file.PinnedOutput);
            WholeFile.MustBeWritable(Output(file), file.PinnedOutput);
        }
    }

    private static string Output(ManifestFile file) => $"PinnedOutput of {FileItem} '{file.Item}'";

    private ManifestFile ReadFile(ITaskItem item, TrustPolicies policies, Func<string, string, string> pathOf, Action<Diagnostic> warn)
    {
        string owner = $"{FileItem} '{item.ItemSpec}'";
        Setting.OnlyMetadata(FileItem, item, "Policy", "PinnedOutput", "ImagePath", "Recursive");
        Setting.NoEmptyMetadata(FileItem, item);
        string name = item.GetMetadata("Policy");
        TrustPolicy policy = name.Length > 0
            ? policies.Named(owner, name)
            : throw new ConfigurationException(Diagnostics.NoIdentityInPolicy, $"{owner} has no Policy; it takes the name of a ContainerTrustPolicy");
        bool recursive = IsRecursive(FileItem, item);
        string path = pathOf(FileItem, item.ItemSpec), output = item.GetMetadata("PinnedOutput");
        var manifest = ContainerManifest.Parse(
            path, WholeFile.Read(FileItem, path, Limits.ManifestFileBytes), item.GetMetadata("ImagePath").Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
        foreach (ManifestImage image in manifest.Images)
        {
            Add(image.Reference, policy, recursive, new Position(path, image.Line, image.Column));
        }

        foreach (ManifestImage other in manifest.Overlooked)
        {
            warn(new Diagnostic(
                Diagnostics.Overlooked, $"{other.Field} looks like an image ('{other.Text}') and is none of the fields that are verified; name it in ImagePath of {owner} if it is one", new Position(path, other.Line, other.Column)));
        }

        return new ManifestFile(item.ItemSpec, path, policy, recursive, manifest, output.Length == 0 ? "" : pathOf($"PinnedOutput of {owner}", output));
    }

    private bool Add(ImageReference reference, TrustPolicy policy, bool recursive, Position? position)
    {
        images.TryAdd((reference.Text, policy, recursive), (reference, []));
        if (position is not null)
        {
            images[(reference.Text, policy, recursive)].Positions.Add(position);
        }

        return true;
    }

    private static bool IsRecursive(string itemName, ITaskItem item) => Setting.IsTrue($"Recursive of {itemName} '{item.ItemSpec}'", item.GetMetadata("Recursive"));

    private static ImageReference Parse(ITaskItem item)
    {
        try
        {
            return ImageReference.Parse(item.ItemSpec);
        }
        catch (FormatException e)
        {
            throw new ConfigurationException(Diagnostics.MalformedReference, $"{ImageItem} '{item.ItemSpec}' cannot be used: {e.Message}", e);
        }
    }

    /// <param name="Item">The path as the project has it.</param>
    /// <param name="Path">Absolute.</param>
    /// <param name="PinnedOutput">Absolute; empty where it is not asked for.</param>
    private sealed record ManifestFile(string Item, string Path, TrustPolicy Policy, bool Recursive, ContainerManifest Manifest, string PinnedOutput);
}
