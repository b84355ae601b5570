package sandbox

import (
	"fmt"
	"os"
	"testing"
	"time"
)

// The test binary plays other programs too, when roleVariable says so.
const (
	roleVariable = "SANDBOX_TEST_ROLE"
	roleIdle     = "idle"    // lives for a while
	rolePrivate  = "private" // starts a private sandbox, prints its PIDs, and lives for a while
	roleNamed    = "named"   // makes the named sandbox of its second argument, and ends
)

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case roleIdle:
		time.Sleep(time.Minute) // long enough for any test, short enough if one forgets it
	case rolePrivate:
		err = playPrivate(os.Args[1])
	case roleNamed:
		err = playNamed(os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
