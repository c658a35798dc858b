namespace Keyless.Sandbox;

/// <summary>Which of the two transparency logs clients are told to write to.</summary>
public enum RekorVersion
{
    V1,
    V2,
}

/// <summary>How a sandbox differs from the usual one. Every port is a free one unless given.</summary>
public sealed record SandboxOptions
{
    public int RegistryPort { get; init; }

    public int IssuerPort { get; init; }

    public int FulcioPort { get; init; }

    public int RekorV1Port { get; init; }

    public int RekorV2Port { get; init; }

    public int TimestampPort { get; init; }

    public int TufPort { get; init; }

    /// <summary>Whether the registry lists referrers; without it clients keep the fallback tag.</summary>
    public bool ReferrersApi { get; init; } = true;

    /// <summary>How the registry finds out who asks.</summary>
    public RegistryLogin RegistryLogin { get; init; }

    /// <summary>The registry's users, with their passwords.</summary>
    public IReadOnlyDictionary<string, string> RegistryUsers { get; init; } = new Dictionary<string, string>();

    /// <summary>Users by identity token, as <c>docker login</c> keeps it for some registries.</summary>
    public IReadOnlyDictionary<string, string> RegistryIdentityTokens { get; init; } = new Dictionary<string, string>();

    /// <summary>Whose peculiarities the registry has.</summary>
    public RegistryQuirks RegistryQuirks { get; init; } = new();

    /// <summary>The log in the signing config. Both run, and the trusted root names both.</summary>
    public RekorVersion Rekor { get; init; } = RekorVersion.V2;

    /// <summary>The kind of key that signs checkpoints of Rekor v2.</summary>
    public RekorV2Key RekorV2Key { get; init; } = RekorV2Key.Ed25519;

    /// <summary>The clock of every part: certificates, tokens, timestamps, log entries.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
}
