namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class TrafficTests
{
    [TestMethod]
    [DataRow("", 0, 0, DisplayName = "nothing")]
    [DataRow("1-2", 1, 1, DisplayName = "one")]
    [DataRow("1-2 3-4 5-6", 3, 3, DisplayName = "one after the other")]
    [DataRow("1-6 2-5 3-4", 3, 1, DisplayName = "all at once")]
    [DataRow("1-2 3-6 4-5 7-8", 4, 3, DisplayName = "two in parallel between two others")]
    [DataRow("1-10 2-3 4-5 6-7", 4, 3, DisplayName = "three beside a long one")]
    [DataRow("1-4 2-3 5-6 7-9 8-10", 5, 3, DisplayName = "two parallel pairs around one")]
    [DataRow("1-2 2-3", 2, 1, DisplayName = "touching is not after")]
    public void Depth_is_the_longest_chain_of_requests_that_follow_each_other(string requests, int count, int depth)
    {
        Exchange[] exchanges = [.. requests.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Exchange).Reverse()];

        Assert.AreEqual(new TrafficMeasure(count, depth), Traffic.Measure(exchanges));
    }

    [TestMethod]
    public void Depth_is_what_trying_every_chain_finds()
    {
        var random = new Random(20);
        for (int round = 0; round < 200; round++)
        {
            Exchange[] exchanges = [.. Enumerable.Range(0, 9).Select(_ => random.Next(1, 30)).Select(began => Exchange($"{began}-{began + random.Next(1, 12)}"))];

            Assert.AreEqual(LongestChain(exchanges, after: 0), Traffic.Measure(exchanges).Depth, string.Join(' ', exchanges.Select(one => $"{one.Began}-{one.Ended}")));
        }

        static int LongestChain(Exchange[] exchanges, long after) =>
            exchanges.Where(one => one.Began > after).Select(one => 1 + LongestChain(exchanges, one.Ended)).DefaultIfEmpty(0).Max();
    }

    private static Exchange Exchange(string span)
    {
        long[] ends = [.. span.Split('-').Select(long.Parse)];
        return new Exchange("part", "GET", "/", "client", 200, default, default, ends[0], ends[1]);
    }
}
