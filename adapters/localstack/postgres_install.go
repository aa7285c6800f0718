package localstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// createClusterConf keeps Debian's package from creating and starting a
// system-wide server, which nobody asked for.
const createClusterConf = "/etc/postgresql-common/createcluster.conf"

// canInstall tells whether this is root on a machine with apt-get.
func (h host) canInstall() bool {
	_, err := h.lookPath("apt-get")
	return err == nil && h.root
}

// installPostgres installs the distribution's PostgreSQL and says so.
func (h host) installPostgres(ctx context.Context, opts PostgresOptions) error {
	apt, err := h.lookPath("apt-get")
	if err != nil {
		return err
	}
	if err := makeDir(opts.DataDir); err != nil {
		return err
	}
	opts.Log("PostgreSQL: none found; installing it (apt-get install postgresql, about 75 MB, no system-wide server)")
	if err := noSystemCluster(h.aptConf); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"update"},
		{"install", "-y", "--no-install-recommends", "postgresql"},
	} {
		proc, err := Start(ProcessOptions{
			Name: "apt-get " + args[0], Path: apt, Args: args, LogFile: filepath.Join(opts.DataDir, "apt-get.log"),
			Env: append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"),
		})
		if err != nil {
			return err
		}
		if err := awaitWithProgress(ctx, proc, func(took time.Duration) {
			opts.Log(fmt.Sprintf("PostgreSQL: apt-get %s: %s, %s", args[0], took, proc.Tail(1)))
		}); err != nil {
			return fmt.Errorf("%w (%s)", err, h.remedy())
		}
	}
	return nil
}

// noSystemCluster leaves an existing file alone: then the package is there
// already, and the administrator's choice stands.
func noSystemCluster(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("prepare the installation of PostgreSQL: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("prepare the installation of PostgreSQL: %w", err)
	}
	_, err = f.WriteString("create_main_cluster = false\n")
	return errors.Join(err, f.Close())
}

// awaitWithProgress waits for a program that does its work and ends, and calls
// progress every few seconds.
func awaitWithProgress(ctx context.Context, proc *Process, progress func(took time.Duration)) error {
	began := time.Now()
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-proc.Done():
			if proc.Err() != nil {
				return proc.failure()
			}
			return nil
		case <-ctx.Done():
			return errors.Join(ctx.Err(), proc.Stop())
		case <-tick.C:
			progress(time.Since(began).Round(time.Second))
		}
	}
}
