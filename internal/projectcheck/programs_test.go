package projectcheck_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNoProgramIsKept refuses built programs among the sources: they are large, stay in the
// history for good, and tell the machine that made them.
func TestNoProgramIsKept(t *testing.T) {
	t.Parallel()
	root := moduleRoot(t)
	ignored, err := os.ReadFile(filepath.Join(root, ".gitignore"))
	require.NoError(t, err)
	for _, path := range sourceFiles(t, "") {
		if strings.Contains(string(ignored), "\n/"+path+"\n") {
			continue
		}
		if isProgram(t, filepath.Join(root, path)) {
			t.Errorf("%s is a built program: remove it, and build with make build", path)
		}
	}
}

// isProgram knows ELF, Mach-O and PE by their first bytes.
func isProgram(t *testing.T, path string) bool {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	head := make([]byte, 4)
	if _, err := io.ReadFull(file, head); err != nil {
		return false // shorter than any program
	}
	for _, magic := range []string{"\x7fELF", "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe", "MZ"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}
