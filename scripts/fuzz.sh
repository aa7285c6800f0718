#!/bin/sh
# Fuzz every target of the module for a while each: fuzz.sh [REGEX].
# FUZZTIME is the time per target (10m); REGEX, or FUZZ, chooses targets by name, FUZZ_SKIP
# leaves some of them out. A new
# target is found by its name, nothing has to be listed here. An input that breaks one
# is written to testdata/fuzz of its package, where `go test` runs it from then on.
set -eu
time=${FUZZTIME:-10m}
only=${1:-${FUZZ:-.}}
skip=${FUZZ_SKIP:-^\$}
targets=$(grep -rE '^func Fuzz[A-Za-z0-9_]*\(' --include='*_test.go' adapters app cmd domain internal workflows |
	grep -v '^cmd/temporaldev/' | sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' | sort -u)
chosen=$(echo "$targets" | awk -v only="$only" -v skip="$skip" '$2 ~ only && $2 !~ skip')
if [ -z "$chosen" ]; then
	echo "fuzz: no target matches $only; there are:" >&2
	echo "$targets" >&2
	exit 1
fi
echo "fuzzing $(echo "$chosen" | wc -l | tr -d ' ') targets, $time each"
echo "$chosen" | while read -r package name; do
	echo "--- $package $name"
	go test "./$package" -run '^$' -fuzz "^$name\$" -fuzztime "$time" </dev/null
done
