package main

import (
	"os"
	"runtime"
)

// heapFloor is the size below which collecting garbage is not worth its while.
const heapFloor = 128 << 20

// quietHeap holds an allocation that is never touched, and so takes no memory, until
// release is called. It counts for the collector's pace: a process that lives on a few
// megabytes and makes hundreds of them a second is collected a few times a second instead
// of a hundred times. It costs at most as much garbage again; a process with a large heap
// notices nothing of it. GOGC in the environment switches it off.
func quietHeap() (release func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	floor := make([]byte, heapFloor)
	return func() { runtime.KeepAlive(floor) }
}
