package apiwriter

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter/internal/etcd"
	"github.com/plscript/plscript/runtime/apiwriter/internal/registry"
)

const (
	// webhooksKnownFor is how long the webhook configurations are believed: a run may bring one.
	webhooksKnownFor = time.Second
	// nodeLooks is how often a pod looks for its node, which may be written at this moment, and nodeWait how long it
	// waits in between.
	nodeLooks = 5
	nodeWait  = 10 * time.Millisecond
)

// surroundings are the objects that decide how others are stored, remembered from one write to the next.
type surroundings struct {
	kv    kv
	clock runtime.Clock

	mu         sync.Mutex
	namespaces map[string]*namespaceInfo
	nodes      map[string]*corev1.Node
	hooks      *registry.Webhooks
	hooksRead  time.Time
	cidr       netip.Prefix
}

// namespaceInfo is a Namespace that takes new objects. nil stands for that of objects that are in none.
type namespaceInfo struct {
	key    string
	rev    int64
	labels map[string]string
}

// unchanged adds the condition that the namespace is still as it was: nobody has deleted or relabelled it.
func (n *namespaceInfo) unchanged(d *draft) {
	if n.key != "" {
		d.require(n.key, n.rev)
	}
}

func newSurroundings(kv kv, clock runtime.Clock) *surroundings {
	return &surroundings{kv: kv, clock: clock, namespaces: map[string]*namespaceInfo{}, nodes: map[string]*corev1.Node{}}
}

// namespace returns the Namespace of that name, or registry.ErrUnknown if it does not simply take what is put there.
func (s *surroundings) namespace(ctx context.Context, name string) (*namespaceInfo, error) {
	if name == "" {
		return &namespaceInfo{}, nil
	}
	s.mu.Lock()
	known := s.namespaces[name]
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var ns corev1.Namespace
	item, err := s.read(ctx, registry.Namespace.Key("", name), &ns)
	if err != nil {
		return nil, err
	}
	if !registry.Active(&ns) || registry.Restricted(&ns) {
		return nil, registry.ErrUnknown
	}
	info := &namespaceInfo{key: item.Key, rev: item.Rev, labels: ns.Labels}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.namespaces[name] = info
	return info, nil
}

// forget has the namespace read again: a write there met something unexpected.
func (s *surroundings) forget(namespace string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.namespaces, namespace)
}

// learn remembers an object that was stored under key at rev, if others depend on it: hundreds of pods follow a node or a
// namespace at once.
func (s *surroundings) learn(obj runtime.Object, key string, rev int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o := obj.(type) {
	case *corev1.Node:
		s.nodes[o.Name] = o
	case *corev1.Namespace:
		if !registry.Restricted(o) {
			s.namespaces[o.Name] = &namespaceInfo{key: key, rev: rev, labels: o.Labels}
		}
	}
}

// node returns the Node of that name, or registry.ErrUnknown if there is none. Nodes and their pods are written side by
// side, so it is waited for a little.
func (s *surroundings) node(ctx context.Context, name string) (*corev1.Node, error) {
	for look := range nodeLooks {
		if look > 0 {
			if err := s.clock.Sleep(ctx, nodeWait); err != nil {
				return nil, err
			}
		}
		s.mu.Lock()
		known := s.nodes[name]
		s.mu.Unlock()
		if known != nil {
			return known, nil
		}
	}
	var n corev1.Node
	if _, err := s.read(ctx, registry.Node.Key("", name), &n); err != nil {
		return nil, err
	}
	s.learn(&n, "", 0)
	return &n, nil
}

// webhooks returns those of the cluster.
func (s *surroundings) webhooks(ctx context.Context) (*registry.Webhooks, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if s.hooks != nil && now.Sub(s.hooksRead) < webhooksKnownFor {
		return s.hooks, nil
	}
	hooks := &registry.Webhooks{}
	for prefix, add := range map[string]func([]byte) error{
		registry.MutatingWebhooks: hooks.AddMutating, registry.ValidatingWebhooks: hooks.AddValidating,
	} {
		items, err := s.kv.List(ctx, prefix)
		if err != nil {
			return nil, err
		}
		for _, item := range items {
			if err := add(item.Value); err != nil {
				return nil, permanent{fmt.Errorf("%s: %w", item.Key, err)}
			}
		}
	}
	s.hooks, s.hooksRead = hooks, now
	return hooks, nil
}

// services returns the range of the Services' addresses.
func (s *surroundings) services(ctx context.Context) (netip.Prefix, error) {
	s.mu.Lock()
	known := s.cidr
	s.mu.Unlock()
	if known.IsValid() {
		return known, nil
	}
	var cidr networkingv1.ServiceCIDR
	// The one that the api-server makes of --service-cluster-ip-range (pkg/controlplane/controller/defaultservicecidr).
	if _, err := s.read(ctx, registry.ServiceCIDR.Key("", "kubernetes"), &cidr); err != nil {
		return netip.Prefix{}, err
	}
	for _, text := range cidr.Spec.CIDRs {
		if p, err := netip.ParsePrefix(text); err == nil && p.Addr().Is4() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.cidr = p
			return p, nil
		}
	}
	return netip.Prefix{}, registry.ErrUnknown
}

// read reads a stored object; registry.ErrUnknown if there is none.
func (s *surroundings) read(ctx context.Context, key string, into registry.Object) (etcd.Item, error) {
	item, there, err := s.kv.Get(ctx, key)
	if err != nil {
		return item, err
	}
	if !there {
		return item, registry.ErrUnknown
	}
	return item, registry.Decode(item.Value, into)
}
