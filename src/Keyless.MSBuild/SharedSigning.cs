using System.Security.Cryptography;
using System.Text;
using Keyless.Sigstore;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>
/// What the projects of one build have in common that are signed in one process: the certificate. MSBuild keeps it and, when the build ends,
/// disposes of it; a node that waits for the next build keeps no key.
/// </summary>
internal sealed class SharedSigning : IDisposable
{
    /// <summary>
    /// A minute in which the longest request may end, and a minute before the certificate does (clocks differ). Nobody begins to sign later than that.
    /// </summary>
    private static readonly TimeSpan Margin = TimeSpan.FromMinutes(2);

    private static readonly string[] IdentityVariables =
    [
        "SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "BUILDKITE_AGENT_ACCESS_TOKEN", "BUILDKITE_JOB_ID",
        "BUILDKITE_AGENT_ENDPOINT", "GCE_METADATA_HOST", "GOOGLE_SERVICE_ACCOUNT_NAME", "SPIFFE_ENDPOINT_SOCKET",
    ];

    private readonly Lock gate = new();
    private readonly Dictionary<string, Slot> slots = new(StringComparer.Ordinal);
    private readonly HashSet<string> said = new(StringComparer.Ordinal);

    /// <summary>Spent of the build's budget.</summary>
    public RetryTime RetryTime { get; } = new();

    /// <summary>The one of this build, if the engine can keep one.</summary>
    /// <returns>Null from an engine that keeps nothing.</returns>
    public static SharedSigning? Of(IBuildEngine engine)
    {
        if (engine is not IBuildEngine4 keeper)
        {
            return null;
        }

        // Another version of the package in the same build has types of its own.
        object key = typeof(SharedSigning).AssemblyQualifiedName + typeof(SharedSigning).Assembly.Location;
        if (keeper.GetRegisteredTaskObject(key, RegisteredTaskObjectLifetime.Build) is SharedSigning there)
        {
            return there;
        }

        // Of two that get here at once (-mt) the first stays, so the answer is asked for again.
        keeper.RegisterTaskObject(key, new SharedSigning(), RegisteredTaskObjectLifetime.Build, allowEarlyCollection: false);
        return keeper.GetRegisteredTaskObject(key, RegisteredTaskObjectLifetime.Build) as SharedSigning;
    }

    /// <summary>The certificate of these settings, if there is one that lives long enough, else a new one.</summary>
    /// <param name="settings">Everything it depends on, from <see cref="KeyOf"/>.</param>
    /// <param name="begin">Gets a new one. Its failure is nobody else's: the next one tries again.</param>
    public async Task<SigningSession> GetAsync(string settings, Func<CancellationToken, Task<SigningSession>> begin, TimeProvider time, CancellationToken cancel)
    {
        Slot slot = SlotOf(settings);
        await slot.Turn.WaitAsync(cancel);
        try
        {
            if (slot.Current is { } session && time.GetUtcNow() < session.ExpiresAt - Margin)
            {
                return session;
            }

            SigningSession fresh = await begin(cancel);
            // The old one may still be in use; it goes when the build ends.
            slot.Sessions.Add(fresh);
            return fresh;
        }
        finally
        {
            slot.Turn.Release();
        }
    }

    /// <summary>Whether this is the first time that somebody asks so.</summary>
    public bool IsFirst(string sentence)
    {
        lock (gate)
        {
            return said.Add(sentence);
        }
    }

    /// <summary>Instance, provider and consent as the project has them, and the environment that the identity comes from; as a hash, since tokens are in it.</summary>
    public static string KeyOf(SigningSettings settings, Func<string, string?> environment)
    {
        string[] parts =
        [
            settings.Source.ToString(), settings.OidcProvider, settings.TokenFile ?? "", $"{settings.AllowHttp}", $"{settings.AcceptPublicLog}",
            .. IdentityVariables.Select(name => environment(name) ?? ""),
        ];
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\0', parts))));
    }

    public void Dispose()
    {
        lock (gate)
        {
            foreach (Slot slot in slots.Values)
            {
                slot.Sessions.ForEach(session => session.Dispose());
                slot.Turn.Dispose();
            }

            slots.Clear();
        }
    }

    private Slot SlotOf(string settings)
    {
        lock (gate)
        {
            if (!slots.TryGetValue(settings, out Slot? slot))
            {
                slots.Add(settings, slot = new Slot());
            }

            return slot;
        }
    }

    /// <summary>One at a time asks for a certificate; the others wait for it.</summary>
    private sealed class Slot
    {
        public SemaphoreSlim Turn { get; } = new(1, 1);

        public List<SigningSession> Sessions { get; } = [];

        public SigningSession? Current => Sessions.LastOrDefault();
    }
}
