package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// progress tells what the demo is doing. On a terminal a running step rewrites its
// line; elsewhere each step is one line when it begins and one when it ends.
type progress struct {
	mu     sync.Mutex
	w      io.Writer
	begun  time.Time
	now    func() time.Time
	active string
	since  time.Time
	last   time.Time
}

func (p *progress) elapsed() time.Duration { return p.now().Sub(p.begun) }

func (p *progress) terminal() bool {
	f, ok := p.w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// step announces what begins now.
func (p *progress) step(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active, p.since = fmt.Sprintf(format, args...), p.now()
	if p.terminal() {
		fmt.Fprintf(p.w, "\r\033[K  …  %s", p.active)
	}
}

// redraw limits how often a running step shows its count.
const redraw = 200 * time.Millisecond

// at shows how far the running step is.
func (p *progress) at(done, total int, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.terminal() || total == 0 || p.now().Sub(p.last) < redraw {
		return
	}
	p.last = p.now()
	const width = 24
	filled := width * done / total
	fmt.Fprintf(p.w, "\r\033[K  …  %s  [%s%s] %3d%%  %s", p.active, strings.Repeat("#", filled), strings.Repeat(".", width-filled), 100*done/total, what)
}

// done ends the running step with its result and time.
func (p *progress) done(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	note := fmt.Sprintf(format, args...)
	if note != "" {
		note = ": " + note
	}
	lead := "  "
	if p.terminal() {
		lead = "\r\033[K  "
	}
	fmt.Fprintf(p.w, "%sok %s%s  (%.1f s)\n", lead, p.active, note, p.now().Sub(p.since).Seconds())
	p.active = ""
}

// note prints one line between steps.
func (p *progress) note(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.terminal() {
		fmt.Fprintf(p.w, "\r\033[K     %s\n", line)
		if p.active != "" {
			fmt.Fprintf(p.w, "  …  %s", p.active)
		}
		return
	}
	fmt.Fprintf(p.w, "     %s\n", line)
}
