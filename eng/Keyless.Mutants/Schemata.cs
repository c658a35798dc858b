using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;

namespace Keyless.Mutants;

/// <summary>The sources of the product with all their mutants in them, each behind its switch.</summary>
internal sealed class Schemata
{
    /// <summary>What the product's files are compiled with besides: see ImplicitUsings.</summary>
    private const string Usings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;

    private const string Switch = """
        namespace Keyless.Sigstore;

        /// <summary>Which check is disabled, and which ones were asked about.</summary>
        public static class Mutants
        {
            public static volatile int Active = -1;

            public static readonly bool[] Asked = new bool[COUNT];

            public static bool Off(int id)
            {
                Asked[id] = true;
                return id == Active;
            }
        }
        """;

    // Strict, because the assemblies here are not the reference assemblies that a build takes: without it, what only those show is not seen.
    private static readonly CSharpParseOptions Language = new CSharpParseOptions(LanguageVersion.Preview).WithFeatures([new("strict", "true")]);

    private readonly List<Mutant> mutants = [];
    private readonly HashSet<int> uncompilable = [];

    public IReadOnlyList<Mutant> Mutants => mutants;

    /// <summary>Those that the language has no way to disable.</summary>
    public IEnumerable<Mutant> Uncompilable => mutants.Where(mutant => uncompilable.Contains(mutant.Id));

    /// <summary>From the repository's root to the file's new text; the switch among them.</summary>
    public Dictionary<string, string> Files { get; } = [];

    /// <param name="project">Folder of the product's project, from the root.</param>
    /// <param name="mutated">Whether a file's checks are to be disabled.</param>
    public static Schemata Of(string root, string project, Func<string, bool> mutated)
    {
        var schemata = new Schemata();
        Dictionary<string, SyntaxTree> trees = Directory.EnumerateFiles(Path.Combine(root, project), "*.cs", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(root, file).Replace('\\', '/'))
            .Where(file => !file.StartsWith($"{project}/bin/", StringComparison.Ordinal) && !file.StartsWith($"{project}/obj/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)
            .ToDictionary(file => file, file => CSharpSyntaxTree.ParseText(File.ReadAllText(Path.Combine(root, file)), Language, file), StringComparer.Ordinal);
        var compilation = CSharpCompilation.Create(
            "Keyless.Sigstore",
            [.. trees.Values, CSharpSyntaxTree.ParseText(Usings, Language), CSharpSyntaxTree.ParseText(Switch.Replace("COUNT", "1", StringComparison.Ordinal), Language)],
            References(),
            new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, nullableContextOptions: NullableContextOptions.Enable));
        foreach (string file in trees.Keys.Where(mutated))
        {
            schemata.Rewrite(file, trees[file], compilation);
        }

        schemata.Files.Add($"{project}/Mutants.cs", Switch.Replace("COUNT", FormattableString.Invariant($"{schemata.mutants.Count}"), StringComparison.Ordinal));
        return schemata;
    }

    private void Rewrite(string file, SyntaxTree tree, CSharpCompilation compilation)
    {
        int errors = Errors(compilation, tree);
        (SyntaxTree rewritten, IReadOnlyList<Mutant> found) = Mutate(id => true);
        if (Errors(compilation.ReplaceSyntaxTree(tree, rewritten), rewritten) > errors)
        {
            foreach (Mutant mutant in found)
            {
                SyntaxTree alone = Mutate(id => id == mutant.Id).Tree;
                if (Errors(compilation.ReplaceSyntaxTree(tree, alone), alone) > errors)
                {
                    uncompilable.Add(mutant.Id);
                }
            }

            rewritten = Mutate(id => !uncompilable.Contains(id)).Tree;
            CSharpCompilation all = compilation.ReplaceSyntaxTree(tree, rewritten);
            if (Errors(all, rewritten) > errors)
            {
                throw new InvalidOperationException($"{file} does not compile with its mutants:\n{string.Join('\n', all.GetSemanticModel(rewritten).GetDiagnostics().Where(IsError).Take(5))}\n{rewritten}");
            }
        }

        mutants.AddRange(found);
        Files.Add(file, rewritten.ToString());

        (SyntaxTree Tree, IReadOnlyList<Mutant> Mutants) Mutate(Func<int, bool> wanted)
        {
            var mutator = new Mutator(file, mutants.Count, wanted);
            SyntaxNode root = mutator.Visit(tree.GetRoot());
            return (CSharpSyntaxTree.ParseText(root.ToFullString(), Language, file), mutator.Mutants);
        }
    }

    // Other errors than ours may stand there already: what source generators would add is missing here.
    private static int Errors(CSharpCompilation compilation, SyntaxTree tree) => compilation.GetSemanticModel(tree).GetDiagnostics().Count(IsError);

    private static bool IsError(Diagnostic diagnostic) => diagnostic.Severity == DiagnosticSeverity.Error;

    // What this program runs with includes what the product runs with.
    private static IEnumerable<MetadataReference> References() => ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
        .Where(file => Path.GetFileName(file) != "Keyless.Sigstore.dll")
        .Select(file => MetadataReference.CreateFromFile(file));
}
