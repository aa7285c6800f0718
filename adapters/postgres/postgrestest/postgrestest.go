// Package postgrestest gives every test a database of its own: a copy of one
// migrated template in a throw-away cluster that all test binaries share. It
// fails when there is no PostgreSQL; it never skips.
package postgrestest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/liftbill/liftbill/adapters/localstack"
	"github.com/liftbill/liftbill/adapters/localstack/sharedpg"
	"github.com/liftbill/liftbill/adapters/postgres"
	"github.com/liftbill/liftbill/migrations"
)

// template is made once per process and found by the others under its name.
type template struct {
	once    sync.Once
	cluster *localstack.Postgres
	name    string
	err     error
}

var (
	shared template
	serial atomic.Int64
)

// URL makes a migrated database for one test and returns its address.
func URL(t testing.TB) string {
	t.Helper()
	ctx := context.Background()
	shared.once.Do(func() { shared.cluster, shared.name, shared.err = makeTemplate(ctx) })
	require.NoError(t, shared.err)
	name := fmt.Sprintf("t_%d_%d", os.Getpid(), serial.Add(1))
	admin, err := pgx.Connect(ctx, shared.cluster.URL(""))
	require.NoError(t, err)
	_, err = admin.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s STRATEGY file_copy", name, shared.name))
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.Exec(ctx, fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name))
		require.NoError(t, err)
		require.NoError(t, admin.Close(ctx))
	})
	return shared.cluster.URL(name)
}

// Open makes a migrated database for one test and opens it.
func Open(t testing.TB) *postgres.DB {
	t.Helper()
	db, err := postgres.Open(context.Background(), URL(t), postgres.Options{MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func makeTemplate(ctx context.Context) (*localstack.Postgres, string, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, "", err
	}
	cluster, err := sharedpg.Ensure(ctx, sharedpg.Options{Key: root, AllowInstall: true})
	if err != nil {
		return nil, "", err
	}
	name, err := templateName()
	if err != nil {
		return nil, "", err
	}
	admin, err := pgx.Connect(ctx, cluster.URL(""))
	if err != nil {
		return nil, "", err
	}
	defer admin.Close(ctx) //nolint:errcheck // the connection ends with its lock
	// One process migrates; the others wait for it on the lock of this session.
	if _, err := admin.Exec(ctx, "SELECT pg_advisory_lock(hashtext($1))", name); err != nil {
		return nil, "", err
	}
	var ready bool
	if err := admin.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1 AND datistemplate)", name).Scan(&ready); err != nil || ready {
		return cluster, name, err
	}
	if _, err := admin.Exec(ctx, "DROP DATABASE IF EXISTS "+name); err != nil {
		return nil, "", err
	}
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+name); err != nil {
		return nil, "", err
	}
	db, err := postgres.Open(ctx, cluster.URL(name), postgres.Options{MaxConns: 2})
	if err != nil {
		return nil, "", err
	}
	if _, err := db.Migrate(ctx); err != nil {
		return nil, "", err
	}
	if err := db.Close(); err != nil {
		return nil, "", err
	}
	_, err = admin.Exec(ctx, "ALTER DATABASE "+name+" IS_TEMPLATE true")
	return cluster, name, err
}

// templateName changes with the migrations, so that a cluster that outlives a
// change of the schema never serves the old one.
func templateName() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(migrations.FS, path)
		h.Write([]byte(path))
		h.Write(raw)
		return err
	})
	return "template_" + hex.EncodeToString(h.Sum(nil)[:8]), err
}

// moduleRoot is the folder of go.mod above the package under test.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		raw, err := os.ReadFile(filepath.Join(dir, "go.mod")) //nolint:gosec // a path above the test's own
		if err == nil && strings.HasPrefix(string(raw), "module github.com/liftbill/liftbill\n") {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no go.mod above %s", dir)
}
