#!/usr/bin/env bash
# Installs what the tests need and runs all of them. The last line is "N passed, N failed".
#   ./test.sh Persist Slt…    only the test projects whose names contain one of the words
set -uo pipefail
cd "$(dirname "$0")"
source scripts/install.sh
require_dotnet || exit 1
install_packages /usr/lib/x86_64-linux-gnu/libsqlite3.so.0=libsqlite3-0 psql=postgresql-client \
    /usr/lib/postgresql/15/bin/initdb=postgresql-15 || exit 1

echo "Building ..."
dotnet build Materialize.sln -c Release --nologo -v quiet || { echo "0 passed, 1 failed"; exit 1; }

passed=0 failed=0
for project in tests/*.Tests; do
    name=$(basename "$project")
    if [ $# -gt 0 ]; then
        wanted=
        for word in "$@"; do [[ "$name" == *"$word"* ]] && wanted=1; done
        [ -n "$wanted" ] || continue
    fi
    echo "== $name"
    log=$(mktemp)
    timeout 900 dotnet "$project/bin/Release/net10.0/Materialize.$name.dll" -noColor -longRunning 120 2>&1 | tee "$log" | grep -E '\[FAIL\]|^    |Total:' || true
    summary=$(grep -E 'Total: [0-9]+' "$log" | tail -n 1)
    if [[ "$summary" =~ Total:\ ([0-9]+),\ Errors:\ ([0-9]+),\ Failed:\ ([0-9]+),\ Skipped:\ ([0-9]+) ]]; then
        bad=$((BASH_REMATCH[2] + BASH_REMATCH[3]))
        failed=$((failed + bad))
        passed=$((passed + BASH_REMATCH[1] - BASH_REMATCH[3] - BASH_REMATCH[4]))
    else
        echo "$name did not finish:"
        tail -n 40 "$log"
        failed=$((failed + 1))
    fi
    rm -f "$log"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
