#!/bin/sh
# Run every fuzz target of the module for a while, one after the other:
# FUZZTIME=20s fuzz.sh [pattern of names]. A finding fails the run; go test keeps its
# input below testdata/fuzz of the package, to be committed with the mend.
set -eu
cd "$(dirname "$0")/.."
time=${FUZZTIME:-10m}
wanted=${1:-.}
targets=$(grep -rhoE --include='*_test.go' --with-filename '^func Fuzz[A-Za-z0-9_]+' adapters app cmd domain internal workflows |
	sed -E 's|^(.*)/[^/]+:func (Fuzz[A-Za-z0-9_]+)$|./\1 \2|' | sort -u | grep -E " $wanted" || true)
if [ -z "$targets" ]; then
	echo "there is no fuzz target that matches $wanted" >&2
	exit 1
fi
echo "$targets" | while read -r package name; do
	echo "=== $name of $package for $time"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" -fuzzminimizetime 1s "$package" </dev/null
done
