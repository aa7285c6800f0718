#!/bin/sh
# Run only the tests of files behind a build tag: test-tagged.sh TAG [go test flags].
# Untagged tests of the same packages belong to `make test` and are not run again.
set -eu
tag=$1
shift
files=$(grep -rlE "^//go:build $tag\$" --include='*_test.go' adapters app cmd domain internal workflows | grep -v '^cmd/temporaldev/' | sort)
if [ -z "$files" ]; then
	echo "no test is behind the build tag $tag" >&2
	exit 1
fi
packages=$(for f in $files; do echo "./$(dirname "$f")"; done | sort -u)
names=$(sed -nE 's/^func (Test[A-Za-z0-9_]+)\(t \*testing\.T\).*/\1/p' $files | sort -u | paste -sd '|' -)
echo "tests behind the tag $tag: $(echo "$names" | tr '|' ' ')"
# shellcheck disable=SC2086 # a list of packages
exec go test -tags "$tag" -run "^($names)\$" "$@" $packages
