package localstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	postgresImage = "postgres:16"
	// pullPatience covers the download of the image.
	pullPatience = 5 * time.Minute
)

// dockerAnswers tells whether there is a Docker engine, not only its client.
func (h host) dockerAnswers(ctx context.Context) bool {
	docker, err := h.lookPath("docker")
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return exec.CommandContext(ctx, docker, "info").Run() == nil
}

// startDocker runs the server in a container that is removed when it stops;
// its data stays in a volume. The client runs in the foreground as our child
// and hands the stop signal on, so that the container ends with us.
func startDocker(ctx context.Context, opts PostgresOptions) (_ *Postgres, err error) {
	docker, err := opts.host.lookPath("docker")
	if err != nil {
		return nil, err
	}
	dir, err := prepareDir(opts, nil)
	if err != nil {
		return nil, err
	}
	held, err := lockDir(ctx, filepath.Join(dir, "postgres.lock"), dir)
	if err != nil {
		return nil, err
	}
	p := &Postgres{dir: dir, source: "a Docker container of " + postgresImage}
	p.group.Add(func() error { held.Release(); return nil })
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	c := &cluster{dir: dir, data: filepath.Join(dir, "no-cluster"), log: opts.Log}
	password, err := c.password()
	if err != nil {
		return nil, err
	}
	port, err := pickPort(opts.Port)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL: %w", err)
	}
	if err := p.setURL(port, password, defaultDatabase); err != nil {
		return nil, err
	}
	name := containerName(dir)
	// A crashed predecessor may have left its container; we hold its lock.
	_ = exec.CommandContext(ctx, docker, "rm", "--force", name).Run()
	opts.Log("PostgreSQL: starting " + postgresImage + " with Docker (the first start downloads about 150 MB)")
	p.proc, err = Start(ProcessOptions{
		Name: "docker run " + postgresImage, Path: docker, Args: dockerArgs(name, port, password),
		LogFile: filepath.Join(dir, "postgres.log"), StopSignal: syscall.SIGINT,
	})
	if err != nil {
		return nil, err
	}
	p.group.Add(p.proc.Stop)
	if err := p.awaitReady(ctx, pullPatience); err != nil {
		return nil, err
	}
	opts.Log(fmt.Sprintf("PostgreSQL: ready on port %d in container %s", port, name))
	return p, nil
}

// containerName is the same for every start on one data folder.
func containerName(dir string) string {
	digest := sha256.Sum256([]byte(dir))
	return "liftbill-postgres-" + hex.EncodeToString(digest[:6])
}

func dockerArgs(name string, port int, password string) []string {
	return []string{
		"run", "--rm", "--name", name,
		"--publish", loopback + ":" + strconv.Itoa(port) + ":5432",
		"--volume", name + ":/var/lib/postgresql/data",
		"--env", "POSTGRES_USER=" + superuser, "--env", "POSTGRES_PASSWORD=" + password, "--env", "POSTGRES_DB=" + defaultDatabase,
		postgresImage,
		"-c", "max_connections=1000", "-c", "timezone=UTC", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
	}
}
