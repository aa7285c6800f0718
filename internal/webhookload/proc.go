package webhookload

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of the times in /proc, which Linux fixes at a hundredth of a
// second for programs, whatever the kernel's own.
const clockTick = 10 * time.Millisecond

// cpuOf is the processor time that a process and the children that it has waited for
// have used, in user and kernel mode together.
func cpuOf(pid int) (time.Duration, error) {
	stat, err := statOf(pid)
	if err != nil {
		return 0, err
	}
	var ticks int64
	for _, field := range stat[11:15] { // utime, stime, cutime, cstime: see proc(5)
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/%d/stat: %w", pid, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// statOf are the fields of /proc/PID/stat behind the program's name, which may itself
// hold spaces and brackets; the first is the state.
func statOf(pid int) ([]string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, fmt.Errorf("read the processor time (this needs Linux): %w", err)
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 15 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return fields, nil
}

// treeCPU is cpuOf a process and its living children: PostgreSQL's server processes.
func treeCPU(parent int) (time.Duration, error) {
	total, err := cpuOf(parent)
	if err != nil {
		return 0, err
	}
	stats, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	for _, dir := range stats {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		stat, err := statOf(pid)
		if err != nil || stat[1] != strconv.Itoa(parent) {
			continue // it ended just now, or is another's child
		}
		own, err := cpuOf(pid)
		if err != nil {
			continue // its time has gone to its parent
		}
		total += own
	}
	return total, nil
}

// ProcessCost is the processor time that a process has used and the most that it held in
// RAM, in bytes.
func ProcessCost(pid int) (cpu time.Duration, peak int64, err error) {
	if cpu, err = cpuOf(pid); err != nil {
		return 0, 0, err
	}
	_, peak, err = memory(pid)
	return cpu, peak, err
}

// memory is what a process holds in RAM now and held at most since its start, in bytes.
func memory(pid int) (now, peak int64, err error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("read the memory (this needs Linux): %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch name {
		case "VmRSS":
			now = kib << 10
		case "VmHWM":
			peak = kib << 10
		}
	}
	return now, peak, nil
}
