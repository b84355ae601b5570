package apiwriter

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
)

// Defaults of [Config].
const (
	DefaultConcurrency = 64
	DefaultMaxPending  = 20_000
)

const (
	// attemptTimeout bounds one request, so that a server that hangs is met by a retry. The api-server itself gives
	// up on a request after 60 s; a write that takes half of that is lost to a load test anyway.
	attemptTimeout = 30 * time.Second
	// bulkAhead is how many bulk writes may be queued or in flight for each request that may be in flight: enough
	// that no request waits for a producer, few enough that a step of a million objects holds only hundreds.
	bulkAhead = 8
)

// Config is what a [Writer] needs. REST, RunID and Clock are required.
type Config struct {
	REST     *rest.Config
	RunID    string // the value of the label runtime.LabelRun: a valid, non-empty label value
	Scenario string // named in the journal's first line and in the User-Agent

	QPS         float64 // requests a second over everything, reads before retries included; 0 means no limit
	Concurrency int     // requests in flight; 0 means DefaultConcurrency
	MaxPending  int     // arrivals (runtime.PriorityRate) that may wait; 0 means DefaultMaxPending

	Store *Store // nil: everything goes through the api-server

	Journal io.Writer // receives one JSON line an object created or deleted, before Done; may be nil

	Clock  runtime.Clock
	Rand   *rand.Rand       // jitter of retries; nil means none
	Notify runtime.Notifier // told after every write; may be nil
	Log    *slog.Logger     // nil means silence
}

// Store lets a writer put objects straight into the etcd of an api-server. It is only for a sandbox that plscript has
// started: nothing protects the objects of others there but care.
type Store struct {
	// Endpoint is etcd's plaintext address as gRPC names it: "unix:///run/etcd.sock".
	Endpoint string
	// Always uses it for all writes that it knows how to make, and not just for those whose latency nobody measures: bulk
	// writes and those marked as runtime.Op.Setup.
	Always bool
	// Tidying says when [Writer.Tidy] has something to do.
	Tidying Tidying
	// Kubelet turns a new pod into one that runs, on the run's own node. Nil leaves pods pending.
	Kubelet func(p *corev1.Pod, node *corev1.Node, now time.Time)
}

func (c *Config) complete() error {
	if c.REST == nil || c.Clock == nil {
		return errors.New("apiwriter: REST and Clock are required")
	}
	if c.RunID == "" {
		return errors.New("apiwriter: the run has no id")
	}
	if problems := validation.IsValidLabelValue(c.RunID); len(problems) > 0 {
		return fmt.Errorf("apiwriter: run id %q is not a label value: %s", c.RunID, problems[0])
	}
	if c.QPS < 0 || c.Concurrency < 0 || c.MaxPending < 0 {
		return errors.New("apiwriter: QPS, Concurrency and MaxPending must not be negative")
	}
	if c.Concurrency == 0 {
		c.Concurrency = DefaultConcurrency
	}
	if c.MaxPending == 0 {
		c.MaxPending = DefaultMaxPending
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}
