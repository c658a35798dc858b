using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using Keyless.Oci;
using Microsoft.Build.Framework;

namespace Keyless.MSBuild;

/// <summary>
/// What every task of ours is: work that can be cancelled, with what it may use of the world, and errors as one line each. An exception that
/// <see cref="Diagnostic.From"/> does not know is a bug and is left to MSBuild, which shows it as one.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "MSBuild never disposes tasks; a source without a timer holds nothing.")]
public abstract class KeylessTask : Microsoft.Build.Utilities.Task, ICancelableTask
{
    private readonly CancellationTokenSource cancellation = new();

    private protected KeylessTask() { }

    /// <summary>The project's folder: relative paths in properties are relative to it, never to the current directory.</summary>
    public string ProjectDirectory { get; set; } = "";

    internal Func<string, string?> EnvironmentVariable { get; set; } = Environment.GetEnvironmentVariable;

    internal TimeProvider Time { get; set; } = TimeProvider.System;

    /// <summary>Shows a page to whoever sits here; false where there is no browser.</summary>
    internal Func<Uri, bool> OpenBrowser { get; set; } = Browser.Open;

    /// <summary>How operators of services and registries know us.</summary>
    internal static string UserAgent { get; } = $"Keyless.MSBuild/{Version()}";

    public sealed override bool Execute()
    {
        // Paths are absolute here, so another project may have the process's current directory meanwhile.
        var node = WaitsForSomebody ? BuildEngine as IBuildEngine3 : null;
        node?.Yield();
        try
        {
            // On the pool, so that no synchronisation context of an IDE waits for itself.
            Task.Run(() => RunAsync(cancellation.Token)).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return false;
        }
        catch (Exception e) when (Diagnostic.From(e) is { } known)
        {
            Error(known);
        }
        finally
        {
            node?.Reacquire();
        }
        return !Log.HasLoggedErrors;
    }

    public void Cancel() => cancellation.Cancel();

    /// <summary>Whether it may stand still until a person has done something; others can be built on this node meanwhile.</summary>
    private protected virtual bool WaitsForSomebody => false;

    private protected abstract Task RunAsync(CancellationToken cancel);

    private protected void Error(Diagnostic known) =>
        Log.LogError(null, known.Code, null, Diagnostic.HelpLink, known.Position?.File, known.Position?.Line ?? 0, known.Position?.Column ?? 0, 0, 0, known.Message);

    private protected void Warn(Diagnostic known) =>
        Log.LogWarning(null, known.Code, null, Diagnostic.HelpLink, known.Position?.File, known.Position?.Line ?? 0, known.Position?.Column ?? 0, 0, 0, known.Message);

    private protected void Say(MessageImportance importance, string text) =>
        Log.LogMessage(importance, Diagnostic.OneLine(text));

    /// <summary>A path of a property, absolute.</summary>
    private protected string PathOf(string property, string path)
    {
        try
        {
            return Path.GetFullPath(path, ProjectDirectory);
        }
        catch (ArgumentException)
        {
            throw new ConfigurationException(Diagnostics.UnknownValue, $"{property} is '{path}'; expected a path");
        }
    }

    /// <summary>For Fulcio, Rekor and timestamp authorities. Requests carry identity tokens, so nothing is followed.</summary>
    private protected static HttpClient CreateServiceClient() => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        ActivityHeadersPropagator = null,
    })
    {
        // Each request brings its own.
        Timeout = Timeout.InfiniteTimeSpan,
        DefaultRequestVersion = HttpVersion.Version20,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
    };

    /// <summary>For servers of the machine itself, such as a cloud's metadata server: a proxy would ask its own.</summary>
    private protected static HttpClient CreateDirectClient() => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        ConnectTimeout = TimeSpan.FromSeconds(3),
        ActivityHeadersPropagator = null,
    })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    /// <summary>Whatever it is asked for, it asks at the Unix socket of that path.</summary>
    private protected static HttpClient CreateSocketClient(string path) => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        ActivityHeadersPropagator = null,
        ConnectCallback = async (_, cancel) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            try
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancel);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        },
    })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    private protected HttpClient CreateRegistryClient() => new(RegistryTransport.CreateHandler(RegistryTransport.InsecureHosts(EnvironmentVariable)))
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    // Without the commit behind the plus sign, which would make every build a client of its own.
    private static string Version() =>
        typeof(KeylessTask).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0.0.0";
}
