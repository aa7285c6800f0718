#!/bin/sh
# Fuzz every target of the module for a while each: fuzz.sh [REGEX].
# FUZZTIME is the time per target (10m); REGEX, or FUZZ, chooses targets by name, FUZZ_SKIP
# leaves some of them out. A new
# target is found by its name, nothing has to be listed here. An input that breaks one
# is written to testdata/fuzz of its package, where `go test` runs it from then on.
# Go would spend up to a minute on making each interesting input smaller, which is all of
# a short run of a slow target: 200 tries are enough.
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
log=$(mktemp)
trap 'rm -f "$log" "$log.status"' EXIT
# An input that broke a target lies here, also when the time ran out before it was reported.
inputs() { ls "$1/testdata/fuzz/$2" 2>/dev/null || true; }
echo "$chosen" | while read -r package name; do
	echo "--- $package $name"
	before=$(inputs "$package" "$name")
	{
		go test "./$package" -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 200x </dev/null 2>&1 && echo 0 >"$log.status" || echo $? >"$log.status"
	} | tee "$log"
	status=$(cat "$log.status")
	[ "$status" -ne 0 ] || continue
	# Before 1.27, Go may take the end of the time that it was given for a failure
	# (golang.org/issue/75804): nothing but the deadline is named, and no input was found.
	# The time is up, so the target is done.
	if grep -qx '    context deadline exceeded' "$log" && ! grep -qE 'Failing input written|panic|fuzzing process' "$log" && [ "$before" = "$(inputs "$package" "$name")" ]; then
		echo "fuzz: the time of $name was over in the middle of an input; none broke it"
		continue
	fi
	exit "$status"
done
