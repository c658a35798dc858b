#!/usr/bin/env bash
# Makes docs/step-summary.png: the summary that a run against the sandbox writes (as the tests hold it, addresses and digest replaced), the way
# GitHub shows Markdown. Needs cmark-gfm and chromium: apt-get install -y cmark-gfm chromium pngquant
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
{
  cat <<'HTML'
<!doctype html><meta charset="utf-8"><style>
body { margin: 0; padding: 16px 24px; width: 1112px; font: 14px/1.5 "Liberation Sans", "DejaVu Sans", sans-serif; color: #1f2328; }
h3 { font-size: 17px; margin: 0 0 12px; }
table { border-collapse: collapse; margin-bottom: 12px; }
th, td { border: 1px solid #d1d9e0; padding: 5px 11px; }
code, pre { font: 12px/1.45 "DejaVu Sans Mono", monospace; background: #f2f3f5; border-radius: 6px; }
code { padding: 2px 5px; } pre { padding: 12px; margin: 0 0 14px; overflow: auto; } pre code { padding: 0; }
</style>
HTML
  # Open, so that the picture shows what is in there.
  cmark-gfm --unsafe -e table tests/Keyless.MSBuild.Tests/StepSummary.verified.txt | sed 's/<details>/<details open>/'
} > "$folder/summary.html"

height=$(( $(grep -c '' "$folder/summary.html") * 14 + 90 ))
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$folder/profile" \
  --window-size="1160,$height" --screenshot="$folder/summary.png" "file://$folder/summary.html" 2> "$folder/chromium.log" || { cat "$folder/chromium.log" >&2; exit 1; }
if command -v pngquant > /dev/null; then
  pngquant --force --output docs/step-summary.png 32 "$folder/summary.png"
else
  cp "$folder/summary.png" docs/step-summary.png
fi
ls -l docs/step-summary.png
