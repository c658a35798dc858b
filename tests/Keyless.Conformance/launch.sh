# Sourced by the launchers beside it: builds the program once for each state of the sources, then becomes it. Needs the .NET SDK, and git if it is there.
# usage: launch CLIENT ARGUMENT…
#
# A build appears under its final name whole or not at all, and has folders of its own, so that many launchers may start at once, and none ever runs
# half a build or one of another commit. Nothing but the program writes to standard output.

launch() {
  local here root state built work
  here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  root=$(cd -P "$here/../.." && pwd)
  state=$(_state "$root")
  built="$root/artifacts/conformance/$state"
  [ -f "$built/Keyless.Conformance.dll" ] || _build "$root" "$built" >&2
  exec dotnet "$built/Keyless.Conformance.dll" "$@"
}

# The commit, and what was changed since; without git there is one state.
_state() {
  local head changes
  head=$(git -C "$1" rev-parse --short=20 HEAD 2>/dev/null) || { echo source; return; }
  changes=$(git -C "$1" diff HEAD -- src tests/Keyless.Conformance Directory.Build.props Directory.Packages.props 2>/dev/null | git hash-object --stdin 2>/dev/null) || changes=unknown
  echo "$head-${changes:0:12}"
}

_build() (
  set -e
  root=$1 built=$2
  mkdir -p "$root/artifacts/conformance"
  work=
  # dies with the subshell, so the lock is given back however this ends
  trap 'rm -rf "$work" ${lock:+"$lock"}' EXIT
  if command -v flock >/dev/null 2>&1; then
    exec 9>"$built.lock"
    flock 9
  else
    # Without flock a builder that was killed leaves its lock behind; after five minutes nobody waits any longer. Two builds at once do no harm.
    for _ in $(seq 600); do
      mkdir "$built.locked" 2>/dev/null && { lock="$built.locked"; break; }
      [ ! -f "$built/Keyless.Conformance.dll" ] || return 0
      sleep 0.5
    done
  fi
  [ ! -f "$built/Keyless.Conformance.dll" ] || return 0

  work=$(mktemp -d "$root/artifacts/conformance/.building-XXXXXX")
  # The SDK refuses to run without a home. The user's own has settings and packages; bash knows it without being told.
  if [ -z "${HOME:-}" ]; then
    unset HOME
    if [ -w ~ ]; then export HOME=~; else export DOTNET_CLI_HOME="$work/home"; fi
  fi
  # Under a faked clock certificates of package sources may not be valid.
  unset LD_PRELOAD
  export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_CLI_USE_MSBUILD_SERVER=0 MSBUILDDISABLENODEREUSE=1
  (cd "$root" && dotnet build tests/Keyless.Conformance --configuration Release --artifacts-path "$work/out" \
    --verbosity quiet --disable-build-servers -p:UseSharedCompilation=false </dev/null)
  [ -d "$built" ] || mv "$work/out/bin/Keyless.Conformance/release" "$built"
)
