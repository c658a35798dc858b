using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using static Microsoft.CodeAnalysis.CSharp.SyntaxFactory;

namespace Keyless.Mutants;

/// <summary>
/// Rewrites a source file so that each of its checks can be disabled while the program runs, one at a time, by its number. The switch is
/// asked only where it would make a difference, so a test that never asks it cannot notice the mutant.
/// </summary>
/// <remarks>
/// <list type="bullet">
/// <item>Skip: <c>if (…) throw</c>, <c>… ? value : throw</c>, <c>… ?? throw</c>, a switch arm that throws, <c>Require…(…);</c> and the like.
/// Where what follows needs what the check binds, it gets the default of its type.</item>
/// <item>Drop: each operand of <c>&amp;&amp;</c> and <c>||</c>, each part of a pattern, the predicate of a query. An operand whose pattern binds
/// what others need stays; the parts of that pattern are left out one by one.</item>
/// <item>Bound: <c>&lt;</c> for <c>&lt;=</c> and so on.</item>
/// </list>
/// What only shows text (interpolations, arguments of exceptions, <c>ToString</c>) is left alone.
/// </remarks>
internal sealed class Mutator(string file, int firstId, Func<int, bool> wanted) : CSharpSyntaxRewriter
{
    private static readonly string[] Checks = ["Require", "Must"];
    private static readonly string[] OtherChecks = ["NoOthers", "End", "ThrowIfNotEmpty", "Reading"];
    private static readonly string[] Filters = ["Where", "First", "FirstOrDefault", "Single", "SingleOrDefault", "All", "Count", "Any"];

    private readonly Dictionary<(MutantKind, string), int> seen = [];
    private readonly List<Mutant> mutants = [];
    private int variables;

    /// <summary>Every check of the file, whether wanted or not; numbered in the order of the walk.</summary>
    public IReadOnlyList<Mutant> Mutants => mutants;

    // ---- what is left alone

    public override SyntaxNode? VisitAttributeList(AttributeListSyntax node) => node;

    public override SyntaxNode? VisitInterpolatedStringExpression(InterpolatedStringExpressionSyntax node) => node;

    public override SyntaxNode? VisitThrowStatement(ThrowStatementSyntax node) => node;

    public override SyntaxNode? VisitThrowExpression(ThrowExpressionSyntax node) => node;

    public override SyntaxNode? VisitCatchFilterClause(CatchFilterClauseSyntax node) => node;

    public override SyntaxNode? VisitObjectCreationExpression(ObjectCreationExpressionSyntax node) =>
        IsException(node) ? node : base.VisitObjectCreationExpression(node);

    public override SyntaxNode? VisitMethodDeclaration(MethodDeclarationSyntax node) =>
        node.Identifier.Text == "ToString" ? node : base.VisitMethodDeclaration(node);

    public override SyntaxNode? VisitFieldDeclaration(FieldDeclarationSyntax node) =>
        node.Modifiers.Any(SyntaxKind.ConstKeyword) ? node : base.VisitFieldDeclaration(node);

    // ---- skip

    public override SyntaxNode? VisitIfStatement(IfStatementSyntax node)
    {
        var visited = (IfStatementSyntax)base.VisitIfStatement(node)!;
        if (EndsInRefusal(node.Statement))
        {
            return Register(MutantKind.Skip, node.Condition, $"if ({node.Condition})") is { } id
                ? visited.WithStatement(Block((IEnumerable<StatementSyntax>)[IfStatement(On(id), visited.Statement), .. Defaults(node)]))
                : visited;
        }

        bool refuses = node.Statement.DescendantNodes().OfType<ObjectCreationExpressionSyntax>().Any(IsException)
            && !node.Statement.DescendantNodes().Any(inner => inner is IfStatementSyntax or ForEachStatementSyntax or TryStatementSyntax);
        return refuses && Register(MutantKind.Skip, node.Condition, $"if ({node.Condition})") is { } other
            ? visited.WithCondition(And(visited.Condition, On(other)))
            : visited;
    }

    public override SyntaxNode? VisitConditionalExpression(ConditionalExpressionSyntax node)
    {
        var visited = (ConditionalExpressionSyntax)base.VisitConditionalExpression(node)!;
        bool whenTrue = node.WhenTrue is ThrowExpressionSyntax;
        if ((!whenTrue && node.WhenFalse is not ThrowExpressionSyntax)
            || Register(MutantKind.Skip, node, whenTrue ? $"{node.Condition} ? throw : …" : $"{node.Condition} ? … : throw") is not { } id)
        {
            return visited;
        }

        if (Bound(node.Condition).Count > 0)
        {
            return whenTrue
                ? visited.WithWhenTrue(DefaultOr(id, visited.WhenTrue))
                : visited.WithWhenFalse(DefaultOr(id, visited.WhenFalse));
        }

        return visited.WithCondition(whenTrue ? And(visited.Condition, On(id)) : Or(visited.Condition, Off(id)));
    }

    public override SyntaxNode? VisitSwitchExpressionArm(SwitchExpressionArmSyntax node)
    {
        var visited = (SwitchExpressionArmSyntax)base.VisitSwitchExpressionArm(node)!;
        if (node.Expression is ThrowExpressionSyntax)
        {
            if (Register(MutantKind.Skip, node, $"{node.Pattern}{Spaced(node.WhenClause)} => throw") is not { } id)
            {
                return visited;
            }

            return node is { Pattern: DiscardPatternSyntax or VarPatternSyntax, WhenClause: null }
                ? visited.WithExpression(DefaultOr(id, visited.Expression))
                : visited.WithWhenClause(When(visited.WhenClause, On(id)));
        }

        (PatternSyntax pattern, List<ExpressionSyntax> conditions) = Loosen(node.Pattern, node.Pattern);
        return conditions.Aggregate(visited.WithPattern(pattern), (arm, condition) => arm.WithWhenClause(When(arm.WhenClause, condition)));
    }

    public override SyntaxNode? VisitSwitchSection(SwitchSectionSyntax node)
    {
        var visited = (SwitchSectionSyntax)base.VisitSwitchSection(node)!;
        return node.Statements is [ThrowStatementSyntax refusal] && Register(MutantKind.Skip, node, $"{node.Labels} throw") is { } id
            ? visited.WithStatements([IfStatement(On(id), refusal), BreakStatement()])
            : visited;
    }

    public override SyntaxNode? VisitExpressionStatement(ExpressionStatementSyntax node)
    {
        var visited = (ExpressionStatementSyntax)base.VisitExpressionStatement(node)!;
        if (Called(node.Expression) is not { } name || !(Checks.Any(name.StartsWith) || OtherChecks.Contains(name)))
        {
            return visited;
        }

        if (Register(MutantKind.Skip, node, node.Expression.ToString()) is not { } id)
        {
            return visited;
        }

        // Require(condition, …): the condition is asked all the same, since it may read on.
        if (TakesCondition(node, name) && visited.Expression is InvocationExpressionSyntax { ArgumentList.Arguments: [var condition, ..] } call)
        {
            return visited.WithExpression(call.ReplaceNode(condition, condition.WithExpression(Or(condition.Expression, Off(id)))));
        }

        return ParseStatement($"try {{ {visited} }} catch (global::System.Exception) when ({Off(id)}) {{ }}");
    }

    // ---- drop and bound

    public override SyntaxNode? VisitBinaryExpression(BinaryExpressionSyntax node)
    {
        var visited = (BinaryExpressionSyntax)base.VisitBinaryExpression(node)!;
        return node.Kind() switch
        {
            SyntaxKind.LogicalAndExpression or SyntaxKind.LogicalOrExpression => DropOperands(node, visited),
            SyntaxKind.CoalesceExpression when node.Right is ThrowExpressionSyntax => Register(MutantKind.Skip, node, $"{node.Left} ?? throw") is { } id
                ? visited.WithRight(DefaultOr(id, visited.Right))
                : visited,
            SyntaxKind.LessThanExpression or SyntaxKind.LessThanOrEqualExpression or SyntaxKind.GreaterThanExpression or SyntaxKind.GreaterThanOrEqualExpression
                when node.Parent is not ForStatementSyntax => MoveBound(node, visited),
            _ => visited,
        };
    }

    private BinaryExpressionSyntax DropOperands(BinaryExpressionSyntax node, BinaryExpressionSyntax visited)
    {
        BinaryExpressionSyntax result = visited;
        if (!node.Left.IsKind(node.Kind()) && !IsNeeded(node.Left) && Register(MutantKind.Drop, node.Left, node.Left.ToString()) is { } left)
        {
            result = result.WithLeft(Dropped(node, visited.Left, left));
        }

        return !IsNeeded(node.Right) && Register(MutantKind.Drop, node.Right, node.Right.ToString()) is { } right
            ? result.WithRight(Dropped(node, visited.Right, right))
            : result;

        static ExpressionSyntax Dropped(BinaryExpressionSyntax chain, ExpressionSyntax operand, int id) =>
            chain.IsKind(SyntaxKind.LogicalAndExpression) ? Or(operand, Off(id)) : And(operand, On(id));
    }

    // a < b: (a < b || (a == b && Off)). Calls are made once.
    private ExpressionSyntax MoveBound(BinaryExpressionSyntax node, BinaryExpressionSyntax visited)
    {
        if (Register(MutantKind.Bound, node, node.ToString()) is not { } id)
        {
            return visited;
        }

        bool plain = IsPlain(node.Left) && IsPlain(node.Right);
        string a = plain ? $"({node.Left})" : Variable(), b = plain ? $"({node.Right})" : Variable();
        bool strict = node.Kind() is SyntaxKind.LessThanExpression or SyntaxKind.GreaterThanExpression;
        string moved = strict
            ? $"({a} {node.OperatorToken.Text} {b} || ({a} == {b} && {Off(id)}))"
            : $"({a} {node.OperatorToken.Text} {b} && ({a} != {b} || {On(id)}))";
        return ParseExpression(plain ? moved : $"(({visited.Left}) is var {a} && ({visited.Right}) is var {b} && {moved})");

        static bool IsPlain(ExpressionSyntax operand) => !operand.DescendantNodesAndSelf().Any(part => part is InvocationExpressionSyntax or IsPatternExpressionSyntax or AssignmentExpressionSyntax
            || part.Kind() is SyntaxKind.PreIncrementExpression or SyntaxKind.PreDecrementExpression or SyntaxKind.PostIncrementExpression or SyntaxKind.PostDecrementExpression);
    }

    public override SyntaxNode? VisitIsPatternExpression(IsPatternExpressionSyntax node)
    {
        var visited = (IsPatternExpressionSyntax)base.VisitIsPatternExpression(node)!;
        bool negated = node.Pattern is UnaryPatternSyntax;
        PatternSyntax positive = node.Pattern is UnaryPatternSyntax unary ? unary.Pattern : node.Pattern;
        if (Bound(node).Count == 0 && Variants(positive, node).Any())
        {
            string value = Variable();
            string judged = Judged(value, positive, node);
            return ParseExpression($"(({visited.Expression}) is var {value} && {(negated ? "!" : "")}{judged})");
        }

        (PatternSyntax loosened, List<ExpressionSyntax> conditions) = Loosen(positive, node);
        if (conditions.Count == 0)
        {
            return visited;
        }

        string rest = string.Join(negated ? " || " : " && ", conditions.Select(condition => negated ? $"!({condition})" : $"{condition}"));
        return ParseExpression(negated ? $"(({visited.Expression}) is not ({loosened}) || {rest})" : $"(({visited.Expression}) is {loosened} && {rest})");
    }

    public override SyntaxNode? VisitInvocationExpression(InvocationExpressionSyntax node)
    {
        var visited = (InvocationExpressionSyntax)base.VisitInvocationExpression(node)!;
        if (node.ArgumentList.Arguments is not [{ Expression: LambdaExpressionSyntax { ExpressionBody: { } body } }]
            || Called(node) is not { } name || !Filters.Contains(name) || body.Kind() is SyntaxKind.LogicalAndExpression or SyntaxKind.LogicalOrExpression
            || Register(MutantKind.Drop, body, $"{name}({node.ArgumentList.Arguments[0]})") is not { } id)
        {
            return visited;
        }

        ExpressionSyntax inner = ((LambdaExpressionSyntax)visited.ArgumentList.Arguments[0].Expression).ExpressionBody!;
        return visited.ReplaceNode(inner, name == "Any" ? And(inner, On(id)) : Or(inner, Off(id)));
    }

    // ---- patterns

    /// <summary>Takes the constants and ranges out of a pattern that binds names, and gives them back as conditions of their own.</summary>
    private (PatternSyntax Pattern, List<ExpressionSyntax> Conditions) Loosen(PatternSyntax pattern, SyntaxNode site)
    {
        var conditions = new List<ExpressionSyntax>();
        Dictionary<PatternSyntax, string> taken = [];
        foreach (PatternSyntax leaf in Leaves(pattern))
        {
            string? name = null;
            int? id = Register(MutantKind.Drop, leaf, $"{leaf} of {pattern}");
            if (id is not null || Variants(leaf, null).Any())
            {
                taken.Add(leaf, name = Variable());
                string judged = Judged(name, leaf, site);
                conditions.Add(ParseExpression(id is { } number ? $"({judged} || {Off(number)})" : judged));
            }
        }

        return (pattern.ReplaceNodes(taken.Keys, (leaf, _) => VarPattern(SingleVariableDesignation(Identifier(taken[leaf]))).WithTriviaFrom(leaf).NormalizeWhitespace()), conditions);
    }

    /// <summary>The parts of a list, positional or property pattern that ask for something and bind nothing.</summary>
    private static IEnumerable<PatternSyntax> Leaves(PatternSyntax pattern) => pattern switch
    {
        ListPatternSyntax list => list.Patterns.SelectMany(Inner),
        RecursivePatternSyntax recursive => [.. recursive.PositionalPatternClause?.Subpatterns.SelectMany(part => Inner(part.Pattern)) ?? [], .. recursive.PropertyPatternClause?.Subpatterns.SelectMany(part => Inner(part.Pattern)) ?? []],
        _ => [],
    };

    private static IEnumerable<PatternSyntax> Inner(PatternSyntax part) => part switch
    {
        DiscardPatternSyntax or VarPatternSyntax or SlicePatternSyntax or DeclarationPatternSyntax => [],
        ListPatternSyntax or RecursivePatternSyntax => Leaves(part),
        _ when Bound(part).Count > 0 => [],
        _ => [part],
    };

    /// <summary>Whether the value fits the pattern, or a variant of it where that one is active.</summary>
    private string Judged(string value, PatternSyntax pattern, SyntaxNode site)
    {
        string plain = $"({value} is {pattern})";
        IEnumerable<string> flips = Variants(pattern, site)
            .Select(variant => (variant, id: Register(variant.Kind, site, $"{variant.Part} of {pattern}")))
            .Where(one => one.id is not null)
            .Select(one => $" ^ (({plain} != ({value} is {one.variant.Pattern})) && {Off(one.id!.Value)})");
        return $"({plain}{string.Concat(flips)})";
    }

    private static IEnumerable<(MutantKind Kind, string Part, PatternSyntax Pattern)> Variants(PatternSyntax pattern, SyntaxNode? site)
    {
        foreach (BinaryPatternSyntax both in pattern.DescendantNodesAndSelf().OfType<BinaryPatternSyntax>())
        {
            yield return (MutantKind.Drop, both.Right.ToString(), pattern.ReplaceNode(both, both.Left));
            if (both.Left is not BinaryPatternSyntax)
            {
                yield return (MutantKind.Drop, both.Left.ToString(), pattern.ReplaceNode(both, both.Right));
            }
        }

        foreach (RelationalPatternSyntax relation in pattern.DescendantNodesAndSelf().OfType<RelationalPatternSyntax>())
        {
            yield return (MutantKind.Bound, relation.ToString(), pattern.ReplaceNode(relation, ParsePattern($"{Moved(relation.OperatorToken)} {relation.Expression}")));
        }

        // Leaves of a pattern that binds nothing and is not taken apart otherwise.
        foreach (PatternSyntax leaf in site is IsPatternExpressionSyntax ? Leaves(pattern) : [])
        {
            yield return (MutantKind.Drop, leaf.ToString(), pattern.ReplaceNode(leaf, DiscardPattern().WithTriviaFrom(leaf)));
        }
    }

    private static string Moved(SyntaxToken relation) => relation.Text switch { "<" => "<=", "<=" => "<", ">" => ">=", _ => ">" };

    private static PatternSyntax ParsePattern(string text) => ((IsPatternExpressionSyntax)ParseExpression($"x is {text}")).Pattern;

    // ---- parts

    private int? Register(MutantKind kind, SyntaxNode site, string text)
    {
        string line = string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        int ordinal = seen[(kind, line)] = seen.GetValueOrDefault((kind, line)) + 1;
        int id = firstId + mutants.Count;
        mutants.Add(new Mutant(id, file, site.GetLocation().GetLineSpan().StartLinePosition.Line + 1, MemberOf(site), kind, line, ordinal));
        return wanted(id) ? id : null;
    }

    private static string MemberOf(SyntaxNode site)
    {
        MemberDeclarationSyntax? member = site.AncestorsAndSelf().OfType<MemberDeclarationSyntax>().FirstOrDefault(node => node is not BaseTypeDeclarationSyntax);
        string type = site.AncestorsAndSelf().OfType<BaseTypeDeclarationSyntax>().FirstOrDefault()?.Identifier.Text ?? "";
        string? name = member switch
        {
            MethodDeclarationSyntax method => method.Identifier.Text,
            PropertyDeclarationSyntax property => property.Identifier.Text,
            FieldDeclarationSyntax field => field.Declaration.Variables[0].Identifier.Text,
            _ => null,
        };
        return name is null ? type : $"{type}.{name}";
    }

    private string Variable() => FormattableString.Invariant($"mutant{++variables}");

    private static ExpressionSyntax Off(int id) => ParseExpression(FormattableString.Invariant($"global::Keyless.Sigstore.Mutants.Off({id})"));

    private static ExpressionSyntax On(int id) => ParseExpression(FormattableString.Invariant($"!global::Keyless.Sigstore.Mutants.Off({id})"));

    private static ExpressionSyntax And(ExpressionSyntax left, ExpressionSyntax right) => ParseExpression($"(({left}) && {right})");

    private static ExpressionSyntax Or(ExpressionSyntax left, ExpressionSyntax right) => ParseExpression($"(({left}) || {right})");

    private static ExpressionSyntax DefaultOr(int id, ExpressionSyntax refusal) => ParseExpression($"({Off(id)} ? default! : {refusal})");

    private static WhenClauseSyntax When(WhenClauseSyntax? given, ExpressionSyntax condition) =>
        WhenClause(given is null ? condition : And(given.Condition, condition)).NormalizeWhitespace().WithLeadingTrivia(Space).WithTrailingTrivia(Space);

    private static string Spaced(WhenClauseSyntax? when) => when is null ? "" : $" {when}";

    private static bool IsException(ObjectCreationExpressionSyntax node) => node.Type.ToString().EndsWith("Exception", StringComparison.Ordinal);

    private static bool EndsInRefusal(StatementSyntax statement) => statement switch
    {
        BlockSyntax { Statements: [.., var last] } => EndsInRefusal(last),
        ThrowStatementSyntax => true,
        ReturnStatementSyntax { Expression: LiteralExpressionSyntax literal } => literal.IsKind(SyntaxKind.FalseLiteralExpression),
        _ => false,
    };

    /// <summary>What the condition binds and what follows uses: nothing at all, as a check that is passed over has it.</summary>
    private static IEnumerable<StatementSyntax> Defaults(IfStatementSyntax node)
    {
        SyntaxNode scope = node.Ancestors().First(outer => outer is BlockSyntax or MemberDeclarationSyntax or SwitchSectionSyntax);
        var used = scope.DescendantNodes().OfType<IdentifierNameSyntax>().Where(name => name.SpanStart > node.Span.End).Select(name => name.Identifier.Text).ToHashSet(StringComparer.Ordinal);
        return Bound(node.Condition).Where(used.Contains).Select(name => ParseStatement($"{name} = default!;"));
    }

    private static List<string> Bound(SyntaxNode node) =>
        [.. node.DescendantNodes().OfType<SingleVariableDesignationSyntax>().Select(designation => designation.Identifier.Text).Distinct(StringComparer.Ordinal)];

    /// <summary>Whether a pattern in the operand binds a name that is used outside of it.</summary>
    private static bool IsNeeded(ExpressionSyntax operand)
    {
        string[] names = [.. operand.DescendantNodes().OfType<SingleVariableDesignationSyntax>().Where(name => name.Parent is not DeclarationExpressionSyntax).Select(name => name.Identifier.Text)];
        return names.Length > 0 && operand.Ancestors().OfType<MemberDeclarationSyntax>().First().DescendantNodes().OfType<IdentifierNameSyntax>()
            .Any(name => names.Contains(name.Identifier.Text) && !operand.Span.Contains(name.Span));
    }

    /// <summary>The name of the method that a call ends in.</summary>
    private static string? Called(ExpressionSyntax expression) => expression switch
    {
        InvocationExpressionSyntax { Expression: IdentifierNameSyntax name } => name.Identifier.Text,
        InvocationExpressionSyntax { Expression: GenericNameSyntax name } => name.Identifier.Text,
        InvocationExpressionSyntax { Expression: MemberAccessExpressionSyntax member } => member.Name.Identifier.Text,
        InvocationExpressionSyntax { Expression: MemberBindingExpressionSyntax member } => member.Name.Identifier.Text,
        ConditionalAccessExpressionSyntax conditional => Called(conditional.WhenNotNull),
        _ => null,
    };

    private static bool TakesCondition(ExpressionStatementSyntax node, string name) =>
        node.Expression is InvocationExpressionSyntax { Expression: IdentifierNameSyntax }
        && node.Ancestors().OfType<TypeDeclarationSyntax>().First().Members.OfType<MethodDeclarationSyntax>()
            .Any(method => method.Identifier.Text == name && method.ParameterList.Parameters is [{ Type: PredefinedTypeSyntax { Keyword.Text: "bool" } }, ..]);
}
