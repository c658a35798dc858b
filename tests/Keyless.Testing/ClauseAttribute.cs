namespace Keyless.Testing;

/// <summary>
/// The test proves these clauses of docs/verification.md: it fails where one of them is not checked any more. The page is made from these
/// attributes.
/// </summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class ClauseAttribute(params string[] clauses) : Attribute
{
    /// <summary>As the page numbers them: <c>B.3</c>.</summary>
    public IReadOnlyList<string> Clauses { get; } = clauses;
}
