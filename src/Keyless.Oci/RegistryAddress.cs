using System.Net;
using System.Net.Sockets;

namespace Keyless.Oci;

/// <summary>Addresses a registry names: Location headers, next pages, token realms.</summary>
internal static class RegistryAddress
{
    private enum Zone
    {
        Public,
        Private,
        LinkLocal,
        Loopback,
    }

    /// <summary>An address whose path and query are sent as they were written: storage services sign them, byte for byte.</summary>
    public static Uri Verbatim(string absolute)
    {
        // RFC 3986 §6.2.3: an empty path is "/", which nobody puts there any more where nothing is canonicalised.
        int authority = absolute.IndexOf("://", StringComparison.Ordinal) + 3;
        int end = absolute.AsSpan(authority).IndexOfAny('/', '?');
        string spelled = end < 0 ? $"{absolute}/" : absolute[authority + end] == '?' ? absolute.Insert(authority + end, "/") : absolute;
        return new Uri(spelled, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true });
    }

    public static bool IsSameOrigin(Uri a, Uri b) =>
        a.Scheme == b.Scheme && a.Port == b.Port && a.Host.Equals(b.Host, StringComparison.OrdinalIgnoreCase);

    /// <summary>Resolves a Location against the address that answered with it, and refuses where no registry has a reason to send us.</summary>
    /// <param name="registry">Private addresses are allowed only where the registry's own is of that kind.</param>
    public static Uri Resolve(Uri from, string location, Uri registry)
    {
        // Printable ASCII without '#' only: nothing is left for two parsers to disagree about.
        if (location.Length is 0 or > Limits.LocationLength || location.AsSpan().ContainsAnyExceptInRange('!', '~') || location.AsSpan().ContainsAny('#', '\\'))
        {
            throw new FormatException("the address it names is empty, too long or not printable ASCII");
        }

        Uri target;
        try
        {
            target = location switch
            {
                _ when location.Contains("://", StringComparison.Ordinal) && location.StartsWith("http", StringComparison.OrdinalIgnoreCase) => Verbatim(location),
                _ when location.StartsWith("//", StringComparison.Ordinal) => Verbatim($"{from.Scheme}:{location}"),
                _ when location.StartsWith('/') => Verbatim($"{from.Scheme}://{from.Authority}{location}"),
                _ => Relative(from, location),
            };
        }
        catch (UriFormatException)
        {
            throw new FormatException("the address it names is not a URI");
        }
        Require(target, from, registry);
        return target;
    }

    private static Uri Relative(Uri from, string location)
    {
        int query = location.IndexOf('?', StringComparison.Ordinal);
        string path = query < 0 ? location : location[..query];
        Uri target = path.Length == 0 ? from : new Uri(from, path);
        return target.Scheme == from.Scheme && query >= 0 ? Verbatim(target.GetLeftPart(UriPartial.Path) + location[query..]) : target;
    }

    /// <summary>Refuses anything but http(s) without user info, a step down from https, and private addresses of somebody else.</summary>
    public static void Require(Uri target, Uri from, Uri registry)
    {
        if (target.Scheme != Uri.UriSchemeHttps && target.Scheme != Uri.UriSchemeHttp)
        {
            throw new FormatException("the address it names is neither https nor http");
        }

        if (target.UserInfo.Length > 0)
        {
            throw new FormatException("the address it names has user information");
        }

        if (from.Scheme == Uri.UriSchemeHttps && target.Scheme == Uri.UriSchemeHttp)
        {
            throw new FormatException($"it leads from https to http ({target.Authority})");
        }

        // CVE-2026-49349, GHSA-vh4v-2xq2-g5cg: a public registry must not point into the network the build runs in.
        Zone zone = ZoneOf(target);
        if (zone != Zone.Public && !target.Host.Equals(registry.Host, StringComparison.OrdinalIgnoreCase) && (zone == Zone.LinkLocal || zone != ZoneOf(registry)))
        {
            throw new FormatException($"it leads to a private address ({target.Authority})");
        }
    }

    private static Zone ZoneOf(Uri uri)
    {
        string host = uri.Host.TrimEnd('.');
        if (host == "localhost" || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase))
        {
            return Zone.Loopback;
        }

        if (uri.HostNameType is not (UriHostNameType.IPv4 or UriHostNameType.IPv6) || !IPAddress.TryParse(uri.DnsSafeHost.TrimEnd('.'), out IPAddress? address))
        {
            return Zone.Public;
        }

        if (IPAddress.IsLoopback(address))
        {
            return Zone.Loopback;
        }

        address = InnerIPv4(address) ?? address;
        if (IPAddress.IsLoopback(address))
        {
            return Zone.Loopback;
        }

        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            return address.IsIPv6LinkLocal || address.IsIPv6Multicast ? Zone.LinkLocal
                : address.IsIPv6UniqueLocal || address.IsIPv6SiteLocal ? Zone.Private
                : Zone.Public;
        }

        return address.GetAddressBytes() switch
        {
            [0, ..] or [169, 254, ..] or [>= 224, ..] => Zone.LinkLocal,
            [10, ..] or [192, 168, ..] or [172, >= 16 and <= 31, ..] or [100, >= 64 and <= 127, ..] => Zone.Private,
            _ => Zone.Public,
        };
    }

    /// <summary>The IPv4 address that an IPv6 address leads to by its form; a network that translates makes it reachable.</summary>
    private static IPAddress? InnerIPv4(IPAddress address) => address.AddressFamily != AddressFamily.InterNetworkV6 ? null : address.GetAddressBytes() switch
    {
        // RFC 4291 §2.5.5: mapped, and the older compatible form, "::" among them.
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, .. var v4] => new IPAddress(v4),
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .. var v4] => new IPAddress(v4),
        // RFC 6052 §2.1, NAT64, and RFC 8215 for a network's own; RFC 3056 §2, 6to4.
        [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, .. var v4] => new IPAddress(v4),
        [0x00, 0x64, 0xff, 0x9b, 0, 1, ..] => new IPAddress([169, 254, 0, 0]),
        [0x20, 0x02, var a, var b, var c, var d, ..] => new IPAddress([a, b, c, d]),
        _ => null,
    };
}
