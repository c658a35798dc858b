using System.Text;
using Keyless.Sigstore.Formats;

namespace Keyless.Sigstore;

/// <summary>
/// A token in a file that somebody keeps fresh: a service account's, projected by Kubernetes (EKS, AKS, GKE). Such a file is a chain of
/// symbolic links that is switched over when the token is renewed, so it is opened anew each time, and links are followed.
/// </summary>
/// <param name="path">Absolute.</param>
public sealed class FileIdentity(string path, Func<string, string?> environment) : IIdentityProvider
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    public string Name => "file";

    public bool IsHere => File.Exists(path);

    public string? Lacks => IsHere ? null : $"there is no file '{Shown.Of(path)}'; set SigstoreIdentityTokenFile to the file with the token, or have one with audience \"sigstore\" projected there";

    public bool IsGiven => true;

    public async Task<IdentityToken> GetAsync(string audience, CancellationToken cancel)
    {
        string jwt = (await ReadInTimeAsync(cancel)).Trim();
        return jwt.Length > 0
            ? IdentityToken.Parse(jwt, environment(GitHubActionsIdentity.ServerVariable), audience: null)
            : throw new IdentityException(IdentityFailure.Malformed, $"malformed identity token: the file '{Shown.Of(path)}' is empty");
    }

    // To open a pipe that nobody writes to, or a file on a server that is gone, waits for ever and cannot be called off: it is left behind.
    private async Task<string> ReadInTimeAsync(CancellationToken cancel)
    {
        try
        {
            return await Task.Run(Read, cancel).WaitAsync(Patience, cancel);
        }
        catch (TimeoutException)
        {
            throw IdentityException.None($"the file '{Shown.Of(path)}' cannot be read: nothing came within {Patience.TotalSeconds:0} s");
        }
    }

    private string Read()
    {
        if (Lacks is { } lacks)
        {
            throw IdentityException.None(lacks);
        }

        try
        {
            // Read up to the bound, not measured before: what is no plain file has no length.
            byte[] content = new byte[IdentityToken.TokenBytes + 1];
            using FileStream file = File.OpenRead(path);
            int length = file.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
            return length < content.Length
                ? Encoding.Latin1.GetString(content, 0, length)
                : throw new IdentityException(IdentityFailure.Malformed, $"malformed identity token: the file '{Shown.Of(path)}' has more than {IdentityToken.TokenBytes} bytes");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw IdentityException.None($"the file '{Shown.Of(path)}' cannot be read: {Shown.Of(e.Message)}");
        }
    }
}
