using System.ComponentModel;
using System.Diagnostics;

namespace Keyless.MSBuild;

/// <summary>The browser of whoever sits at this machine.</summary>
internal static class Browser
{
    public static bool Open(Uri page)
    {
        // Without a display the system's opener falls back to a browser in the terminal, which MSBuild has.
        bool blind = OperatingSystem.IsLinux() && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("DISPLAY")) && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("WAYLAND_DISPLAY"));
        if (blind)
        {
            return false;
        }

        try
        {
            using Process? opener = Process.Start(new ProcessStartInfo(page.AbsoluteUri) { UseShellExecute = true });
            return true;
        }
        catch (Exception e) when (e is Win32Exception or InvalidOperationException or PlatformNotSupportedException)
        {
            return false;
        }
    }
}
