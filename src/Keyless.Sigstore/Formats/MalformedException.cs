namespace Keyless.Sigstore.Formats;

/// <summary>JSON that breaks one of the rules a reader here insists on; <see cref="Clause"/> names which.</summary>
internal sealed class MalformedException(string clause, string message, Exception? inner = null) : FormatException(message, inner)
{
    /// <summary>One of <c>too-large</c>, <c>json</c>, <c>json-duplicate</c>, <c>schema</c>, <c>unknown-field</c>, <c>number</c>,
    /// <c>base64</c>, <c>limit</c>, or a clause of the document that is read.</summary>
    public string Clause { get; } = clause;
}
