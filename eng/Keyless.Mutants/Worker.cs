using System.Diagnostics;
using System.Reflection;
using System.Text.Json;

namespace Keyless.Mutants;

/// <summary>
/// Runs tests in this process, which has mutants in it: with none active, to learn which test asks about which mutant, and with one active,
/// until a test fails. One test at a time: there is one switch.
/// </summary>
/// <remarks>
/// Not by the test platform, because a process that is warm runs a test in milliseconds and a new one needs a second before the first. Of
/// MSTest it knows test methods and their rows of data; a test that needs more fails without any mutant, and that ends the run.
/// </remarks>
internal sealed class Worker(TextReader commands, TextWriter answers)
{
    private static readonly string[] Assemblies = ["Keyless.Sigstore.Tests"];

    private static readonly Type Switch = Type.GetType("Keyless.Sigstore.Mutants, Keyless.Sigstore", throwOnError: true)!;
    private static readonly FieldInfo Active = Switch.GetField("Active")!;
    private readonly bool[] asked = (bool[])Switch.GetField("Asked")!.GetValue(null)!;

    /// <summary>A test by its name; of one with data, each row is one.</summary>
    private readonly Dictionary<string, (MethodInfo Method, int Row)> tests = Assemblies.SelectMany(name => Assembly.Load(name).GetTypes())
        .Where(type => type.IsDefined(typeof(TestClassAttribute)) && !type.IsDefined(typeof(IgnoreAttribute)))
        .SelectMany(type => type.GetMethods())
        .Where(method => method.IsDefined(typeof(TestMethodAttribute)) && !method.IsDefined(typeof(IgnoreAttribute)))
        .SelectMany(method => Rows(method).Select((_, row) => (method, row)))
        .ToDictionary(test => FormattableString.Invariant($"{test.method.DeclaringType!.Name}.{test.method.Name}[{test.row}]"), StringComparer.Ordinal);

    public async Task RunAsync()
    {
        Answer(new Report("tests", Tests: [.. tests.Keys]));
        while (await commands.ReadLineAsync() is { } line)
        {
            Command command = JsonSerializer.Deserialize<Command>(line)!;
            await (command.Mutant < 0 ? RecordAsync(command) : JudgeAsync(command));
        }
    }

    private async Task RecordAsync(Command command)
    {
        foreach (string test in command.Tests)
        {
            Answer(new Report("running", test));
            Array.Clear(asked);
            var clock = Stopwatch.StartNew();
            string? failure = await FailureAsync(test, -1);
            Answer(new Report("recorded", test, clock.ElapsedMilliseconds, failure, [.. Enumerable.Range(0, asked.Length).Where(id => asked[id])]));
        }

        Answer(new Report("ready"));
    }

    private async Task JudgeAsync(Command command)
    {
        foreach (string test in command.Tests)
        {
            Answer(new Report("running", test));
            if (await FailureAsync(test, command.Mutant) is not { } failure)
            {
                continue;
            }

            // It must be the mutant that failed it, and not what an earlier one left behind.
            Answer(await FailureAsync(test, -1) is null ? new Report("killed", test, Failure: failure) : new Report("spoilt", test));
            return;
        }

        Answer(new Report("survived"));
    }

    /// <returns>How the test fails with this mutant active, or null.</returns>
    private async Task<string?> FailureAsync(string name, int mutant)
    {
        Active.SetValue(null, mutant);
        try
        {
            (MethodInfo method, int row) = tests[name];
            await RunAsync(method, Rows(method).ElementAt(row));
            return null;
        }
        catch (Exception e) when ((e as TargetInvocationException)?.InnerException is not AssertInconclusiveException && e is not AssertInconclusiveException)
        {
            Exception cause = e is TargetInvocationException { InnerException: { } inner } ? inner : e;
            return $"{cause.GetType().Name}: {cause.Message.Split('\n')[0]}";
        }
        catch (Exception)
        {
            return null; // skipped, for want of a tool
        }
        finally
        {
            Active.SetValue(null, -1);
        }
    }

    private static IEnumerable<object?[]> Rows(MethodInfo test)
    {
        ITestDataSource[] sources = [.. test.GetCustomAttributes().OfType<ITestDataSource>()];
        return sources.Length == 0 ? [[]] : sources.SelectMany(source => source.GetData(test));
    }

    private static async Task RunAsync(MethodInfo test, object?[] row)
    {
        using var context = new Context(test);
        Type type = test.DeclaringType!;
        bool takesContext = type.GetConstructor([typeof(TestContext)]) is not null;
        object? instance = test.IsStatic ? null : Activator.CreateInstance(type, takesContext ? [context] : []);
        try
        {
            if (instance is not null && !takesContext)
            {
                type.GetProperty(nameof(TestContext))?.SetValue(instance, context);
            }

            if (test.Invoke(instance, row) is Task running)
            {
                await running;
            }
        }
        finally
        {
            (instance as IDisposable)?.Dispose();
        }
    }

    private void Answer(Report report)
    {
        answers.WriteLine(JsonSerializer.Serialize(report));
        answers.Flush();
    }

    /// <summary>As much of a test's surroundings as tests here ask for: a token that is never cancelled.</summary>
    private sealed class Context(MethodInfo test) : TestContext, IDisposable
    {
        public override IDictionary<string, object?> Properties { get; } = new Dictionary<string, object?>
        {
            [nameof(TestName)] = test.Name,
            [nameof(FullyQualifiedTestClassName)] = test.DeclaringType!.FullName,
        };

        public void Dispose()
        {
        }

        public override void AddResultFile(string fileName)
        {
        }

        public override void DisplayMessage(MessageLevel messageLevel, string message)
        {
        }

        public override void Write(string? message)
        {
        }

        public override void Write(string format, params object?[] args)
        {
        }

        public override void WriteLine(string? message)
        {
        }

        public override void WriteLine(string format, params object?[] args)
        {
        }
    }
}

/// <summary>What the worker is to do: these tests, in this order, until one minds the mutant; or, without a mutant, all of them.</summary>
internal sealed record Command(int Mutant, IReadOnlyList<string> Tests);

/// <summary>What the worker says, a line each.</summary>
/// <param name="Kind">First <c>tests</c>. Then for each command <c>running</c> before each test, and at its end one of <c>killed</c>, <c>survived</c>,
/// <c>spoilt</c>; without a mutant <c>recorded</c> after each test, and <c>ready</c>.</param>
/// <param name="Asked">Mutants that the test asked about.</param>
/// <param name="Tests">All there are.</param>
internal sealed record Report(string Kind, string? Test = null, long Milliseconds = 0, string? Failure = null, IReadOnlyList<int>? Asked = null, IReadOnlyList<string>? Tests = null);
