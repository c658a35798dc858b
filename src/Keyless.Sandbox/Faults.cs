using Microsoft.AspNetCore.Http.Features;

namespace Keyless.Sandbox;

/// <summary>What goes wrong at one server. Faults may be added and removed at any time; where several fit a request, the one added first happens.</summary>
public sealed class Faults
{
    private readonly TimeProvider time;
    private readonly Lock gate = new();
    private readonly List<Counted> faults = [];

    internal Faults(TimeProvider time) => this.time = time;

    /// <summary>Which lies the part behind this server can tell.</summary>
    internal Func<object, bool> Tells { get; set; } = _ => false;

    /// <exception cref="ArgumentException">A lie of another part.</exception>
    public void Add(Fault fault)
    {
        if (fault.Untruth is { } lie && !Tells(lie))
        {
            throw new ArgumentException($"this part cannot tell {lie.GetType().Name}.{lie}", nameof(fault));
        }

        lock (gate)
        {
            faults.Add(new Counted(fault, time.GetTimestamp()));
        }
    }

    /// <summary>From here on everything goes well.</summary>
    public void Clear()
    {
        lock (gate)
        {
            faults.Clear();
        }
    }

    /// <summary>Counts a request, and says what happens to it; null: nothing.</summary>
    internal Fault? Next(HttpRequest request)
    {
        lock (gate)
        {
            Fault? first = null;
            foreach (Counted counted in faults.Where(counted => counted.Fault.Counts(request)))
            {
                (Fault fault, counted.Requests) = (counted.Fault, counted.Requests + 1);
                if (counted.Requests >= fault.First && counted.Requests <= fault.Last && !(time.GetElapsedTime(counted.Since) >= fault.Lasting))
                {
                    first ??= fault;
                }
            }
            return first;
        }
    }

    private sealed class Counted(Fault fault, long since)
    {
        public Fault Fault => fault;

        public long Since => since;

        public int Requests { get; set; }
    }
}

/// <summary>A request that something happens to.</summary>
/// <param name="Next">The part.</param>
internal sealed record FaultyRequest(LoopbackServer Server, HttpContext Context, RequestDelegate Next, TimeProvider Time)
{
    public Task Abort()
    {
        Context.Abort();
        return Task.CompletedTask;
    }

    /// <summary>Has the part do its work. Status and headers of its answer are set and not sent.</summary>
    /// <returns>The body of its answer, which is not sent either.</returns>
    public async Task<byte[]> WorkAsync()
    {
        IHttpResponseBodyFeature client = Context.Features.GetRequiredFeature<IHttpResponseBodyFeature>();
        using var body = new MemoryStream();
        var kept = new StreamResponseBodyFeature(body);
        Context.Features.Set<IHttpResponseBodyFeature>(kept);
        try
        {
            await Next(Context);
            await kept.CompleteAsync();
            return body.ToArray();
        }
        finally
        {
            Context.Features.Set(client);
        }
    }

    public async Task SendAsync(int status, string mediaType, byte[] body)
    {
        Context.Response.StatusCode = status;
        Context.Response.ContentType = mediaType;
        Context.Response.ContentLength = body.Length;
        await Context.Response.Body.WriteAsync(body, Context.RequestAborted);
    }
}
