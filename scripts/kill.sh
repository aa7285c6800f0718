#!/bin/sh
# Kill API, worker and PostgreSQL at random moments under load and count afterwards what
# was lost or booked twice: kill.sh [seconds] [seed]. Exits 1 when anything was.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
mkdir -p bin
go build -o bin/ ./cmd/liftbill
if [ -n "${2:-}" ]; then
	exec bin/liftbill bench kill --seconds "$seconds" --seed "$2"
fi
exec bin/liftbill bench kill --seconds "$seconds"
