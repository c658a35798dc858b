using System.Globalization;

namespace Keyless.Sigstore;

/// <summary>
/// The files of one repository on this machine, for many processes at once. Each file appears whole or not at all (written aside, then renamed), and
/// whoever changes files holds a lock while it compares and writes. Nothing in here is trusted for being here; what does not read is as if absent.
/// </summary>
/// <param name="folder">Absolute; made when something is written. Null: nothing is kept.</param>
internal sealed class TufCache(string? folder)
{
    private const string Roots = "root_history";
    private const string Unfinished = ".unfinished-";

    // Ten seconds: a change takes some milliseconds, even with many waiting.
    private const int LongestWait = 1000;
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(10);

    private bool swept;

    /// <summary>Why nothing could be kept; null where everything was. No reason to refuse what was fetched.</summary>
    public string? Trouble { get; private set; } = folder is null ? "there is no folder for it" : null;

    /// <summary>Where targets are kept; absolute.</summary>
    public string? TargetsFolder { get; init; } = folder is null ? null : Path.Combine(folder, "targets");

    public byte[]? Read(string role, int limit) => ReadFile(FileOf(role), limit);

    public byte[]? ReadRoot(long version) => ReadFile(RootFile(version), Limits.TufRootBytes);

    public byte[]? ReadTarget(TargetFile target) =>
        TargetsFolder is not null && ReadFile(PathOf(target), Limits.TufListedBytes) is { } bytes && target.Differs(bytes) is null ? bytes : null;

    public void Write(string role, byte[] bytes) => WriteFile(FileOf(role), bytes);

    public void WriteRoot(long version, byte[] bytes)
    {
        WriteFile(RootFile(version), bytes);
        Write("root", bytes);
    }

    public void WriteTarget(TargetFile target, byte[] bytes) => WriteFile(PathOf(target), bytes);

    public void Delete(string role) => File.Delete(Absolute(FileOf(role)));

    /// <summary>Runs a change while no other process changes anything. If it cannot be, <see cref="Trouble"/> says why, and nothing is thrown.</summary>
    public async Task ChangeAsync(Action change, CancellationToken cancel)
    {
        if (folder is null)
        {
            return;
        }

        try
        {
            CreateFolder(folder);
            CreateFolder(Absolute(Roots));
            CreateFolder(TargetsFolder!);
            using FileStream gate = await LockAsync(cancel);
            SweepLeftovers();
            change();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            Trouble = e.Message;
        }
    }

    /// <summary>A name as part of a file name: nothing that leaves the folder, and nothing that a file system takes for something else.</summary>
    public static string Encode(string name)
    {
        string encoded = Uri.EscapeDataString(name);
        string stem = encoded.Split('.')[0].ToUpperInvariant();
        // Devices of Windows, with any extension; a name that begins or ends with a dot is hidden, a folder, or loses the dot.
        bool special = stem is "" or "CON" or "PRN" or "AUX" or "NUL" || (stem.Length == 4 && stem[..3] is "COM" or "LPT" && char.IsAsciiDigit(stem[3]));
        encoded = special && encoded.Length > 0 ? string.Create(CultureInfo.InvariantCulture, $"%{(int)encoded[0]:X2}{encoded[1..]}") : encoded;
        return encoded.EndsWith('.') ? $"{encoded[..^1]}%2E" : encoded;
    }

    private static string FileOf(string role) => $"{Encode(role)}.json";

    private static string RootFile(long version) => Path.Combine(Roots, string.Create(CultureInfo.InvariantCulture, $"{version}.root.json"));

    private string PathOf(TargetFile target) => Path.Combine(TargetsFolder!, Encode(target.Name));

    private string Absolute(string relative) => Path.Combine(folder!, relative);

    private byte[]? ReadFile(string relative, int limit)
    {
        if (folder is null)
        {
            return null;
        }

        try
        {
            using var file = new FileStream(Absolute(relative), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            if (file.Length > limit)
            {
                return null;
            }

            var bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            return null;
        }
    }

    private void WriteFile(string relative, byte[] bytes)
    {
        string path = Absolute(relative);
        string temporary = Path.Combine(Path.GetDirectoryName(path)!, $"{Unfinished}{Path.GetRandomFileName()}");
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        using (var stream = new FileStream(temporary, options))
        {
            stream.Write(bytes);
        }

        File.Move(temporary, path, overwrite: true);
    }

    private static void CreateFolder(string path)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(path);
        }
        else
        {
            Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    // An open file that nobody else may open: the system gives it back when a process dies, however it dies.
    private async Task<FileStream> LockAsync(CancellationToken cancel)
    {
        for (int tries = 0; ; tries++)
        {
            try
            {
                return new FileStream(Absolute(".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (tries < LongestWait && File.Exists(Absolute(".lock")))
            {
                await Task.Delay(Step, cancel);
            }
        }
    }

    // Under the lock nobody is writing: these were left by processes that died.
    private void SweepLeftovers()
    {
        if (swept)
        {
            return;
        }

        swept = true;
        foreach (string leftover in new[] { folder!, Absolute(Roots), TargetsFolder! }.SelectMany(place => Directory.EnumerateFiles(place, $"{Unfinished}*")))
        {
            File.Delete(leftover);
        }
    }
}
