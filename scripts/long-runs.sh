#!/usr/bin/env bash
# The long versions of the tests that kill processes under load, which test.sh runs in short: pgbench on a replicated PostgreSQL for a
# minute with five kills, and numbered rows with twenty.
#   scripts/long-runs.sh            both
#   scripts/long-runs.sh pgbench    only those whose names contain the word
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh
require_dotnet
install_packages /usr/lib/x86_64-linux-gnu/libsqlite3.so.0=libsqlite3-0 /usr/lib/postgresql/15/bin/initdb=postgresql-15
./run.sh --build-only
dotnet build tests/System.Tests -c Release --nologo -v quiet
# The programs as users run them.
MZ_PROGRAMS="$PWD/artifacts/app" dotnet tests/System.Tests/bin/Release/net10.0/Materialize.System.Tests.dll -noColor -showLiveOutput -explicit only \
    -class Materialize.SystemTests.Durability.KillTests ${1:+-method "*$1*"}
