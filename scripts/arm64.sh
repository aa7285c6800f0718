#!/bin/sh
# Hold arm64 against this machine, bit by bit: the recorded bits of the estimator, the
# recorded case IDs of readouts, every partition and order (1, 7, 64 and more workers)
# and, where LIFTBILL_CASES names the shared vectors, the golden case. On another machine
# than arm64 it runs under qemu (Debian: qemu-user).
set -eu
here=$(pwd)
out=$here/.cache/arm64
run=""
if [ "$(go env GOHOSTARCH)" != arm64 ]; then
	run=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
	if [ -z "$run" ]; then
		echo "arm64: there is no qemu-aarch64 on this machine; on Debian: apt-get install qemu-user" >&2
		exit 3
	fi
fi
tags=""
[ -z "${LIFTBILL_CASES:-}" ] || tags="-tags cases"
mkdir -p "$out"
for package in domain/ope domain/lift; do
	case $package in
	domain/ope) tests='^(TestRecordedBits|TestEveryPartitionAndOrderGivesTheSameBits|TestGramDigests|TestSharedGolden)$' ;;
	*) tests='^(TestRecordedCases|TestArmIsExactAtTheThreshold|TestFloorMinor|TestChiSquareLimits|TestSettlementPageByHand)$' ;;
	esac
	name=$(basename "$package")
	for arch in "$(go env GOHOSTARCH)" arm64; do
		# shellcheck disable=SC2086 # no tag is no argument
		CGO_ENABLED=0 GOARCH=$arch go test -c $tags -o "$out/$name-$arch.test" "./$package"
		emulator=""
		[ "$arch" != arm64 ] || emulator=$run
		echo "--- $package on $arch ${emulator:+(emulated)}"
		(cd "$package" && $emulator "$out/$name-$arch.test" -test.run "$tests" -test.v) >"$out/$name-$arch.log" 2>&1 ||
			{ cat "$out/$name-$arch.log" >&2; exit 1; }
		grep -E '^(--- |ok|PASS)' "$out/$name-$arch.log"
		sed -nE 's/^.*(bits of .*)$/\1/p' "$out/$name-$arch.log" | sort >"$out/$name-$arch.bits"
	done
	diff "$out/$name-$(go env GOHOSTARCH).bits" "$out/$name-arm64.bits"
	echo "$package: $(wc -l <"$out/$name-arm64.bits" | tr -d ' ') results have the same bits on both"
done
