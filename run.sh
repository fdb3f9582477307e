#!/usr/bin/env bash
# Installs what is missing, builds Release, starts environmentd with its embedded defaults. Ctrl-C stops everything.
#   ./run.sh --build-only     only builds; then bin/environmentd starts it
#   ./run.sh OPTIONS…         passes options on to environmentd
set -euo pipefail
cd "$(dirname "$0")"
source scripts/install.sh
require_dotnet
install_packages /usr/lib/x86_64-linux-gnu/libsqlite3.so.0=libsqlite3-0 psql=postgresql-client

# Compiled ahead of time, a process that is started, or was killed, is there in about half the time.
for program in Environmentd Clusterd; do
    dotnet publish "src/$program" -c Release -o "artifacts/app" --nologo -v quiet --use-current-runtime --no-self-contained -p:PublishReadyToRun=true
done
mkdir -p bin
printf '#!/usr/bin/env bash\nexec "$(dirname "$(readlink -f "$0")")/../artifacts/app/environmentd" "$@"\n' > bin/environmentd
chmod +x bin/environmentd

if [ "${1:-}" = "--build-only" ]; then
    echo "built: bin/environmentd"
    exit 0
fi
exec bin/environmentd "$@"
