namespace Keyless.Sandbox;

/// <summary>Tokens with a good signature that are not the ones to use. For <see cref="Fault.Lie(IssuerLie)"/>.</summary>
public enum IssuerLie
{
    /// <summary>For another audience than was asked for.</summary>
    OtherAudience,

    /// <summary>Expired a minute ago.</summary>
    Expired,

    /// <summary>Of a workflow in another repository.</summary>
    OtherIdentity,
}

/// <summary>Certificates of the real authority that are not what was asked for. For <see cref="Fault.Lie(FulcioLie)"/>.</summary>
public enum FulcioLie
{
    /// <summary>For a key that nobody here has.</summary>
    OtherKey,

    /// <summary>For the key that was sent, but naming somebody else.</summary>
    OtherIdentity,

    /// <summary>Ended a minute ago.</summary>
    Expired,

    /// <summary>Ends in 70 seconds.</summary>
    EndsSoon,

    /// <summary>Without an SCT.</summary>
    NoSct,

    /// <summary>With an SCT of a log that nobody knows.</summary>
    ForeignSct,

    /// <summary>With an SCT that names the right log, and is signed by another key.</summary>
    SctByOtherKey,
}

/// <summary>Timestamps in correct form that are not what was asked for. For <see cref="Fault.Lie(TimestampLie)"/>.</summary>
public enum TimestampLie
{
    /// <summary>By an authority that is in no trusted root, though of the same name.</summary>
    ForeignAuthority,

    /// <summary>Names the right certificate, and is signed by another key.</summary>
    SignedByOtherKey,

    /// <summary>Of other data.</summary>
    OtherImprint,

    /// <summary>With another nonce than was sent.</summary>
    OtherNonce,

    /// <summary>An hour before now.</summary>
    HourEarly,

    /// <summary>An hour after now.</summary>
    HourLate,
}

/// <summary>Log entries in correct form that are not what was asked for. For <see cref="Fault.Lie(RekorLie)"/>, at both versions but where it says so.</summary>
public enum RekorLie
{
    /// <summary>Says that it stands in another log.</summary>
    ForeignLogId,

    /// <summary>Version 1 only: the signed entry timestamp is by another key.</summary>
    SetByOtherKey,

    /// <summary>The checkpoint is signed by another key, under the id of the right one.</summary>
    CheckpointByOtherKey,

    /// <summary>Path, root and signed checkpoint are of a tree without this entry.</summary>
    ProofOfOtherTree,

    /// <summary>The entry of another signature of the same content, by another key; it really is in the log.</summary>
    OtherSignature,

    /// <summary>An entry with another digest of the content, otherwise as it was sent; it really is in the log.</summary>
    OtherDigest,
}

/// <summary>What a registry says of a manifest that is pushed, and does not do. For <see cref="Fault.Lie(RegistryLie)"/>.</summary>
public enum RegistryLie
{
    /// <summary>Stores it, and answers with the <c>Docker-Content-Digest</c> of other bytes.</summary>
    OtherDigest,

    /// <summary>Accepts it and stores nothing.</summary>
    StoresNothing,

    /// <summary>Stores and lists it, and leaves out <c>OCI-Subject</c>.</summary>
    ForgetsSubject,

    /// <summary>Answers with <c>OCI-Subject</c>, and stores it without listing it among the referrers.</summary>
    DoesNotList,
}

internal static class Lies
{
    /// <summary>What a fault told the part to lie about in its answer to this request; null: it tells the truth.</summary>
    public static T? Lie<T>(this HttpContext context)
        where T : struct, Enum => context.Items.TryGetValue(typeof(T), out object? lie) ? (T)lie! : null;
}
