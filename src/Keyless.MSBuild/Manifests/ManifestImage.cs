using Keyless.Oci;

namespace Keyless.MSBuild.Manifests;

/// <summary>One image that a deploy file names, however often aliases repeat it there.</summary>
/// <param name="Reference">What is to be verified.</param>
/// <param name="Text">The reference as the file's reader puts it together.</param>
/// <param name="Line">From 1: where the value begins; of an image in parts, its name.</param>
/// <param name="Column">From 1.</param>
/// <param name="Field"><c>services.web.image</c>: the first that has it.</param>
internal sealed record ManifestImage(ImageReference Reference, string Text, int Line, int Column, string Field)
{
    /// <summary>Where a digest is written.</summary>
    internal DigestPlace? Place { get; init; }
}

internal enum DigestForm
{
    /// <summary>Behind the reference or the tag: <c>@sha256:…</c>.</summary>
    Appended,

    /// <summary>A field of its own: <c>sha256:…</c>.</summary>
    Whole,

    /// <summary>A field of its own, to which the reader adds the algorithm.</summary>
    Hex,
}

/// <param name="Scalar">The value that gets the digest.</param>
/// <param name="IsPart">Whether the value is not a whole reference.</param>
internal sealed record DigestPlace(YamlScalar Scalar, DigestForm Form, bool IsPart);
