package xdspool

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/xdspool/h2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Config sets up a [Pool].
type Config struct {
	// Addresses are istiod's XDS ports, host:port. Connects take turns over them.
	Addresses []string
	// Lookup finds the addresses behind a host name, which connects take turns over too; nil connects to names as they are.
	// What it has found is used for 5 s.
	Lookup func(ctx context.Context, host string) ([]string, error)
	// ConnectRate is how many connects a second each address gets. 0 lets the pool pace itself: it starts below what
	// istiod admits, slows down when it is refused and speeds up while it is not.
	ConnectRate float64
	// Hold is called before each connect, which waits until it returns and stays away if it fails; nil never holds.
	Hold func(context.Context) error

	Clock  runtime.Clock    // required
	Rand   *rand.Rand       // for the jitter of backoffs, used under a lock; nil means a fixed seed
	Notify runtime.Notifier // told when readings may have changed; may be nil
	Log    *slog.Logger     // may be nil

	// IstioVersion is what proxies say they are, "1.31.0". istiod leaves out what an older proxy would not know.
	IstioVersion string
	ClusterID    string // "" means "Kubernetes"
	MeshDomain   string // "" means "cluster.local"
	// Metadata is added to the node metadata of every proxy, below the proxy's own. It cannot change who the proxy is.
	Metadata map[string]any

	// Auth finds what proxies show istiod; nil means plaintext, and nothing is shown.
	Auth Authenticator
	// Certificates signs those of proxies that ask for one before they connect, see [runtime.Proxy]; without it these stay away.
	Certificates runtime.Certificates
	Stages       *runtime.Stages // counts and times these requests; may be nil
	// StreamsPerConnection is how many streams may share a connection; 0 and 1 give each its own, as in life. Streams share
	// only where the TLS configuration of their credentials is the same one.
	StreamsPerConnection int
	Fidelity             Fidelity
}

// Pool is the XDS clients of a mesh. It implements [runtime.Proxies], [runtime.PodEvents], [runtime.Demands],
// [runtime.Changes] and [runtime.Meter]; all of its methods may be called from anywhere, before, while and after it runs.
type Pool struct {
	cfg       Config
	places    []*place
	certifier *certifier
	transport transport
	scratch   sync.Pool // of *response
	encoding  sync.Pool // of *[]byte, what requests are encoded in
	running   sync.WaitGroup

	mu      sync.Mutex
	ctx     context.Context // what clients run under: Run's; nil before and after
	stop    context.CancelFunc
	over    chan struct{}      // closed when Run has returned; nil before
	members map[string]*member // by key
	podIPs  map[string]string  // of the pods that run, by key
	turns   int                // over places
	store   *store
	applier applier
	tracker *tracker
	stats   stats
	ends    map[codes.Code]bool // how streams have ended so far
}

var (
	_ runtime.Proxies   = (*Pool)(nil)
	_ runtime.PodEvents = (*Pool)(nil)
	_ runtime.Demands   = (*Pool)(nil)
	_ runtime.Changes   = (*Pool)(nil)
	_ runtime.Meter     = (*Pool)(nil)
)

// New returns a pool that connects nobody until it runs.
func New(cfg Config) *Pool {
	cfg.setDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(0, 0))
	}
	if cfg.Fidelity.Patience == 0 {
		cfg.Fidelity.Patience = patience
	}
	s := newStore()
	p := &Pool{
		cfg:       cfg,
		transport: transport{perConnection: cfg.StreamsPerConnection, keepalive: h2.NewKeepalive(keepaliveTime, keepaliveTimeout)},
		scratch:   sync.Pool{New: func() any { return new(response) }},
		encoding:  sync.Pool{New: func() any { return new([]byte) }},
		members:   map[string]*member{},
		podIPs:    map[string]string{},
		store:     s,
		applier:   applier{store: s},
		// The uid of a pod's workload (Istio pilot/pkg/serviceregistry/ambient generatePodUID).
		tracker: newTracker(s, func(pod string) string { return cfg.ClusterID + "//Pod/" + pod }),
		stats:   newStats(),
		ends:    map[codes.Code]bool{},
	}
	p.certifier = newCertifier(p)
	for _, a := range cfg.Addresses {
		p.places = append(p.places, newPlace(&p.cfg, a))
	}
	return p
}

// Run connects the proxies that are wanted, and those that will be, until ctx is done or [Pool.Close] is called; it
// returns once the last stream is closed. A pool runs once.
func (p *Pool) Run(ctx context.Context) error {
	if len(p.cfg.Addresses) == 0 {
		return errors.New("xds pool: no address of an istiod")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	if p.over != nil {
		p.mu.Unlock()
		return errors.New("xds pool: it has run already")
	}
	p.ctx, p.stop, p.over = ctx, cancel, make(chan struct{})
	for key := range p.members {
		p.reconcile(key)
	}
	p.mu.Unlock()
	defer close(p.over)
	p.running.Go(func() { p.certifier.run(ctx) })

	<-ctx.Done()
	p.mu.Lock()
	p.ctx = nil
	for _, m := range p.members {
		if m.client != nil {
			p.remove(m.client)
			m.client = nil
		}
	}
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

// Close ends Run and waits for it.
func (p *Pool) Close() {
	p.mu.Lock()
	stop, over := p.stop, p.over
	p.mu.Unlock()
	if over != nil {
		stop()
		<-over
	}
}

// random returns a number in [0, 1).
func (p *Pool) random() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cfg.Rand.Float64()
}

func (p *Pool) notify() {
	if p.cfg.Notify != nil {
		p.cfg.Notify.Notify()
	}
}

// keepScratch is the largest scanned response that is kept for the next, in resources.
const keepScratch = 16 << 10

func (p *Pool) recycle(r *response) {
	if cap(r.raw) <= keepScratch {
		clear(r.requests[:cap(r.requests)]) // which may hold the names of a whole mesh
		p.scratch.Put(r)
	}
}

// logEnd logs why a stream of c ended: the first of every status code as a warning, the others, which may be thousands
// when an istiod goes away, for debugging.
func (p *Pool) logEnd(ctx context.Context, c *client, address string, err error) {
	code := status.Code(err)
	p.mu.Lock()
	level := slog.LevelWarn
	if p.ends[code] || errors.Is(err, errBroken) {
		level = slog.LevelDebug
	}
	if !errors.Is(err, errBroken) {
		p.ends[code] = true
	}
	p.mu.Unlock()
	p.cfg.Log.LogAttrs(ctx, level, "xds stream ended", slog.String("proxy", c.proxy.Key()),
		slog.String("istiod", address), slog.Any("error", err))
}
