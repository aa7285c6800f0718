// Command temporaldev runs a Temporal server with its web console in one
// process, on loopback only, for demonstrations and tests on one machine. It
// stands in a Go module of its own so that the product's go.mod stays free of
// the server's dependencies. It has no authentication: never expose it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	uiversion "github.com/temporalio/ui-server/v2/server/version"
	"go.temporal.io/server/common/headers"
)

// stopPatience bounds a clean stop. SQLite in WAL mode loses nothing that was
// acknowledged when the process ends without one.
const stopPatience = 10 * time.Second

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run returns the exit code: 0 stopped as asked, 1 failed, 2 bad usage.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	opts, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, errHelp):
		return 0
	case err != nil:
		return complain(stderr, 2, err)
	case opts.version:
		_, _ = fmt.Fprintf(stdout, "temporaldev server=%s ui=%s\n", headers.ServerVersion, uiversion.UIVersion)
		return 0
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if opts.watchStdin {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		go func() {
			_, _ = io.Copy(io.Discard, stdin) // ends when the last writer is gone
			cancel()
		}()
	}
	if err := serve(ctx, opts, stdout); err != nil {
		return complain(stderr, 1, err)
	}
	return 0
}

// complain prints one line, whatever the error holds.
func complain(w io.Writer, code int, err error) int {
	_, _ = fmt.Fprintln(w, "temporaldev:", oneLine(err.Error()))
	return code
}

// serve runs the server until ctx is done. The console starts last, so that
// whoever sees it answer may start a worker at once.
func serve(ctx context.Context, opts options, stdout io.Writer) error {
	if err := opts.checkPorts(); err != nil {
		return err
	}
	if opts.dbFilename != "" {
		release, err := lockFile(ctx, opts.dbFilename+".lock")
		if err != nil {
			return fmt.Errorf("the database %s is in use by another temporaldev: stop it, or pass another --db-filename: %w", opts.dbFilename, err)
		}
		defer release()
	}
	logger, level, err := newLogger(opts)
	if err != nil {
		return err
	}
	server, err := newServer(opts, logger)
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return fmt.Errorf("start the server: %w", err)
	}
	defer func() {
		level.SetLevel(silent().Level())
		stopWithin(stopPatience, func() { _ = server.Stop() })
	}()

	if err := ensureAttributes(ctx, opts); err != nil {
		if ctx.Err() != nil {
			return nil // asked to stop while starting
		}
		return err
	}
	console := ""
	if !opts.headless {
		ui, err := newConsole(opts)
		if err != nil {
			return err
		}
		go func() { _ = ui.Start() }()
		defer ui.Stop()
		console = " ui=http://" + hostPort(opts.ip, opts.uiPort)
	}
	_, _ = fmt.Fprintf(stdout, "temporaldev: ready grpc=%s%s store=%s\n", hostPort(opts.ip, opts.port), console, opts.store())
	<-ctx.Done()
	return nil
}

// stopWithin runs stop and gives up waiting after the given time.
func stopWithin(patience time.Duration, stop func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		stop()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}
