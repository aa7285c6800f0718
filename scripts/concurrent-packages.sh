#!/bin/sh
# Print the packages with tests in whose files, tests included, something runs at the same
# time as something else: what the race detector can say something about. The tools of
# the repository and the simulation, which gives each worker worlds of its own, are left out:
# they take long under the detector, and no product runs them.
set -eu
cd "$(dirname "$0")/.."
grep -rlE '\bgo func|\bgo [a-z][A-Za-z.]*\(|errgroup|\bsync\.|\batomic\.|\.Go\(func|\bchan ' --include='*.go' adapters app cmd domain internal workflows |
	grep -vE '^(cmd/temporaldev|internal/(mutants|projectcheck|validation))/' | xargs -n 1 dirname | sort -u | while read -r dir; do
	for test in "$dir"/*_test.go; do
		[ -e "$test" ] && echo "./$dir"
		break
	done
done
