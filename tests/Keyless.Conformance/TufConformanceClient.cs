using Keyless.Sigstore;

namespace Keyless.Conformance;

/// <summary>
/// The client protocol of the public TUF conformance suite: <c>init</c> puts the first root into a metadata folder, <c>refresh</c> brings that folder up
/// to date, <c>download</c> does the same and puts targets into another. Exit code 0 for done, 1 for refused.
/// </summary>
internal static class TufConformanceClient
{
    private const string Usage = """
        keyless-tuf-conformance --metadata-dir FOLDER init ROOT
        keyless-tuf-conformance --metadata-url URL --metadata-dir FOLDER refresh
        keyless-tuf-conformance --metadata-url URL --metadata-dir FOLDER --target-name NAME… --target-dir FOLDER --target-base-url URL download
        """;

    public static async Task<int> RunAsync(string[] arguments)
    {
        try
        {
            await RunAsync(Arguments.Parse(arguments), CancellationToken.None);
            return 0;
        }
        catch (TufException e)
        {
            Console.Error.WriteLine($"reason: {e.Failure} ({e.Role})\n{e.Message}");
            return 1;
        }
        catch (Exception e) when (e is ServiceException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(e.Message);
            return 1;
        }
        catch (FormatException e)
        {
            Console.Error.WriteLine($"keyless-tuf-conformance: {e.Message}\n{Usage}");
            return 2;
        }
    }

    private static async Task RunAsync(Arguments arguments, CancellationToken cancel)
    {
        string root = Path.Combine(arguments.MetadataFolder, "root.json");
        if (arguments.Root is { } given)
        {
            byte[] first = await File.ReadAllBytesAsync(given, cancel);
            TrustedMetadata.Start(first, given, TimeProvider.System.GetUtcNow(), TufAge.Any);
            Directory.CreateDirectory(arguments.MetadataFolder);
            await File.WriteAllBytesAsync(root, first, cancel);
            return;
        }

        using var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { Timeout = Timeout.InfiniteTimeSpan };
        TufCache cache = arguments.TargetFolder is { } targets
            ? new TufCache(arguments.MetadataFolder) { TargetsFolder = targets }
            : new TufCache(arguments.MetadataFolder);
        var tuf = new TufClient(arguments.MetadataUrl!, await File.ReadAllBytesAsync(root, cancel), new Http(client, "Keyless.Conformance/1.0"), TimeProvider.System, cache)
        {
            TargetsUrl = arguments.TargetsUrl ?? arguments.MetadataUrl!,
        };
        await tuf.RefreshAsync(cancel);
        foreach (string name in arguments.Targets)
        {
            await tuf.GetTargetAsync(name, cancel);
        }

        if (cache.Trouble is { } trouble)
        {
            throw new IOException(trouble);
        }
    }

    private sealed record Arguments(string MetadataFolder, Uri? MetadataUrl, string? Root, IReadOnlyList<string> Targets, string? TargetFolder, Uri? TargetsUrl)
    {
        public static Arguments Parse(string[] arguments)
        {
            var options = new Dictionary<string, string>(StringComparer.Ordinal);
            var targets = new List<string>();
            var words = new List<string>();
            for (int i = 0; i < arguments.Length; i++)
            {
                string name = arguments[i];
                if (!name.StartsWith("--", StringComparison.Ordinal))
                {
                    words.Add(name);
                    continue;
                }

                string value = ++i < arguments.Length ? arguments[i] : throw new FormatException($"{name} needs a value");
                if (name == "--target-name")
                {
                    targets.Add(value);
                }
                else if (name is not ("--metadata-dir" or "--metadata-url" or "--target-dir" or "--target-base-url"))
                {
                    throw new FormatException($"'{name}' is not an option");
                }
                else
                {
                    options[name] = value;
                }
            }

            string Required(string name) => options.GetValueOrDefault(name) ?? throw new FormatException($"{name} is missing");
            Uri Url(string name) => Uri.TryCreate(Required(name) + (Required(name).EndsWith('/') ? "" : "/"), UriKind.Absolute, out Uri? url) ? url : throw new FormatException($"{name} is no URL");
            // The folders are the caller's, relative to where the caller stands.
            string Folder(string name) => Path.GetFullPath(Required(name));
            return words switch
            {
                ["init", var root] => new Arguments(Folder("--metadata-dir"), null, Path.GetFullPath(root), [], null, null),
                ["refresh"] => new Arguments(Folder("--metadata-dir"), Url("--metadata-url"), null, [], null, null),
                ["download"] when targets.Count > 0 => new Arguments(Folder("--metadata-dir"), Url("--metadata-url"), null, targets, Folder("--target-dir"), Url("--target-base-url")),
                ["download"] => throw new FormatException("--target-name is missing"),
                _ => throw new FormatException("one command expected: init ROOT, refresh or download"),
            };
        }
    }
}
