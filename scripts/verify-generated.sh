#!/bin/sh
# Regenerate into the tree and fail when anything differs from what was there before.
# Uncommitted work is not judged: only what the generators change is.
set -eu
before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
files=$(find adapters app cmd domain internal workflows -name '*.gen.*' -type f | sort)
if [ -z "$files" ]; then
	echo "there is no generated file" >&2
	exit 1
fi
for f in $files; do
	mkdir -p "$before/$(dirname "$f")"
	cp "$f" "$before/$f"
done
go generate ./...
status=0
for f in $files; do
	if ! diff -u "$before/$f" "$f"; then
		status=1
	fi
done
if [ $status -ne 0 ]; then
	echo "generated code differed from its source and was regenerated: commit the change" >&2
fi
exit $status
