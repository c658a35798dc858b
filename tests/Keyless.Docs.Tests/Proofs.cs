using System.Reflection;
using Keyless.Testing;

namespace Keyless.Docs.Tests;

/// <summary>Which tests say that they prove which clauses.</summary>
internal static class Proofs
{
    private const string Main = "Keyless.Sigstore.Tests";
    private static readonly string[] Assemblies = [Main, "Keyless.MSBuild.Tests", "Keyless.Interop.Tests", "Keyless.Oci.Tests"];

    /// <summary>Every method with a <see cref="ClauseAttribute"/>.</summary>
    public static IReadOnlyList<MethodInfo> Methods { get; } =
    [
        .. Assemblies.SelectMany(name => Assembly.Load(name).GetTypes())
            .SelectMany(type => type.GetMethods(BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Where(method => ClausesOf(method).Any()),
    ];

    /// <summary>From a clause to the tests that prove it.</summary>
    public static ILookup<string, string> Tests { get; } =
        Methods.SelectMany(method => ClausesOf(method).Distinct().Select(clause => (clause, test: NameOf(method))))
            .OrderBy(proof => proof.test, StringComparer.Ordinal)
            .ToLookup(proof => proof.clause, proof => proof.test, StringComparer.Ordinal);

    public static IEnumerable<string> ClausesOf(MethodInfo method) => method.GetCustomAttributes<ClauseAttribute>().SelectMany(attribute => attribute.Clauses);

    /// <summary><c>Class.Method</c>, with the project before it where that is not the verifier's own.</summary>
    public static string NameOf(MethodInfo method)
    {
        string project = method.DeclaringType!.Assembly.GetName().Name!;
        string name = $"{method.DeclaringType.Name}.{method.Name}";
        return project == Main ? name : $"{project.Split('.')[1]}: {name}";
    }
}
