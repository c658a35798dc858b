using System.Text.Json.Nodes;

namespace Keyless.Sandbox.Tests;

[TestClass]
public sealed class CanonicalJsonTests
{
    [TestMethod]
    public void Sorts_members_by_code_units_and_escapes_as_little_as_possible()
    {
        JsonNode node = JsonNode.Parse("""{ "b": [true, null, -7], "B": "+/=<é>\u2028", "\u20ac": 9223372036854775807, "\r": "\u0001\n\"\\\/" }""")!;

        Assert.AreEqual("{\"\\r\":\"\\u0001\\n\\\"\\\\/\",\"B\":\"+/=<é>\u2028\",\"b\":[true,null,-7],\"€\":9223372036854775807}", CanonicalJson.Text(node));
    }
}
