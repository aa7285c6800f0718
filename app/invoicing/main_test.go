package invoicing_test

import (
	"flag"
	"os"
	"testing"
)

// The SDK waits between its attempts to read, so most of the cases spend their time
// asleep: more of them than there are cores may run at once.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "12"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
