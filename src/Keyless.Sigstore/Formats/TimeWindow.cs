namespace Keyless.Sigstore.Formats;

/// <summary>From when until when a key or a chain is to be believed; closed at both ends, open where there is no end.</summary>
internal sealed record TimeWindow(DateTimeOffset Start, DateTimeOffset? End)
{
    public bool Contains(DateTimeOffset moment) => moment >= Start && (End is null || moment <= End);

    /// <summary>Null where the document names no start: protobuf-specs requires one, and without it nothing is bounded.</summary>
    public static TimeWindow? Parse(JsonFields? window, string what) => window?.Text("start") is { } start
        ? new TimeWindow(Rfc3339.Parse(start, what), window.Text("end") is { } end ? Rfc3339.Parse(end, what) : null)
        : null;

    public override string ToString() => End is { } end ? $"{Shown.Of(Start)} to {Shown.Of(end)}" : $"from {Shown.Of(Start)} on";
}
