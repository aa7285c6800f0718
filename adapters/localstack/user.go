package localstack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// serverUser is whom PostgreSQL runs as: nil for the present user, and an
// unprivileged one when this is root, as whom it refuses to run.
func serverUser() (*User, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil && uid != 0 {
			return &User{Name: name, UID: uint32(uid), GID: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root and there is neither a user postgres nor nobody: create one (useradd --system postgres), or run as an ordinary user")
}

// prepareDir makes the data folder, or one in its stead when the unprivileged
// user can't reach the wanted place (a checkout in root's home, say).
func prepareDir(opts PostgresOptions, u *User) (string, error) {
	dir, err := filepath.Abs(opts.DataDir)
	if err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	if err := makeDir(dir); err != nil {
		return "", err
	}
	if u == nil || reachable(dir, u) {
		return dir, nil
	}
	digest := sha256.Sum256([]byte(dir))
	instead := filepath.Join(opts.FallbackDir, filepath.Base(dir)+"-"+hex.EncodeToString(digest[:4]))
	if err := makeDir(instead); err != nil {
		return "", err
	}
	if !reachable(instead, u) {
		return "", fmt.Errorf("user %s, as whom PostgreSQL has to run, reaches neither %s nor %s: choose another data folder", u.Name, dir, instead)
	}
	opts.Log(fmt.Sprintf("PostgreSQL: user %s can't reach %s, using %s", u.Name, dir, instead))
	return instead, nil
}

// makeDir creates a folder that others may enter, whatever the umask.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return fmt.Errorf("the data folder %s can't be created: choose another data folder: %w", dir, err)
		}
		return fmt.Errorf("data folder: %w", err)
	}
	return os.Chmod(dir, 0o755)
}

// OwnDir makes a folder in a public place such as /tmp. One that exists must
// be ours and no link, so that nobody prepares it for us.
func OwnDir(dir string, mode fs.FileMode) error {
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create a folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at a folder: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !info.IsDir() || !ok || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not a folder of this user: delete it", dir)
	}
	return os.Chmod(dir, mode)
}

// reachable tells whether u may enter every folder down to dir.
func reachable(dir string, u *User) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		bit := fs.FileMode(0o001)
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			switch {
			case st.Uid == u.UID:
				bit = 0o100
			case st.Gid == u.GID:
				bit = 0o010
			}
		}
		if info.Mode()&bit == 0 {
			return false
		}
		if dir == filepath.Dir(dir) {
			return true
		}
		dir = filepath.Dir(dir)
	}
}

// alive tells whether a process exists; a zombie does not.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.EPERM) {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true // no /proc here, or it went just now: the next look tells
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// commandLine returns a process's arguments, "" when they can't be had.
func commandLine(ctx context.Context, pid int) string {
	if b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); err == nil {
		return strings.ReplaceAll(string(b), "\x00", " ")
	}
	out, _ := exec.CommandContext(ctx, "ps", "-o", "args=", "-p", strconv.Itoa(pid)).Output()
	return string(out)
}
