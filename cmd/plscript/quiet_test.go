package main

import (
	"bytes"
	"context"
	"testing"

	"k8s.io/klog/v2"
)

// TestClientGoIsQuiet: what client-go logs, as of a request that an interrupt ended, does not come between what a command
// says, and not before a run has a log of its own either.
func TestClientGoIsQuiet(t *testing.T) {
	var stderr, out bytes.Buffer
	klog.LogToStderr(false)
	klog.SetOutput(&stderr)
	klog.ClearLogger()
	klog.Error("loud")
	klog.Flush()
	if stderr.Len() == 0 {
		t.Fatal("klog does not write where the test looks")
	}
	stderr.Reset()
	sys := &system{stdout: &out, stderr: &out, getenv: func(string) string { return "" }}
	sys.main(context.WithoutCancel(t.Context()), []string{"plscript", "--version"})
	klog.Error("quiet?")
	klog.Flush()
	if stderr.Len() > 0 {
		t.Errorf("stderr has %q", &stderr)
	}
}
