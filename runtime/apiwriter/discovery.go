package apiwriter

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"github.com/plscript/plscript/runtime"
)

// remapAfter is how old a reading of the api-server's kinds must be for an unknown kind to cause another: a step may
// bring a new CRD, and a step of ten thousand objects of an unknown kind must not read it ten thousand times.
const remapAfter = time.Second

// mapper knows the resource and scope of each kind, as the api-server tells.
type mapper struct {
	client discovery.DiscoveryInterface
	clock  runtime.Clock

	mu    sync.Mutex
	inner meta.RESTMapper // nil before the first reading
	read  time.Time
	known map[schema.GroupVersionKind]*meta.RESTMapping
}

func newMapper(cfg *rest.Config, h *http.Client, clock runtime.Clock) (*mapper, error) {
	client, err := discovery.NewDiscoveryClientForConfigAndClient(cfg, h)
	if err != nil {
		return nil, err
	}
	return &mapper{client: client, clock: clock}, nil
}

// mapping returns the mapping of gvk, reading the api-server's kinds again if it is unknown.
func (m *mapper) mapping(gvk schema.GroupVersionKind) (*meta.RESTMapping, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if k, ok := m.known[gvk]; ok {
		return k, nil
	}
	var k *meta.RESTMapping
	err := error(&meta.NoKindMatchError{GroupKind: gvk.GroupKind(), SearchedVersions: []string{gvk.Version}})
	if m.inner != nil {
		k, err = m.inner.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if now := m.clock.Now(); meta.IsNoMatchError(err) && (m.inner == nil || now.Sub(m.read) >= remapAfter) {
		groups, readErr := restmapper.GetAPIGroupResources(m.client)
		if readErr != nil {
			return nil, fmt.Errorf("read the api-server's kinds: %w", readErr)
		}
		m.inner, m.read = restmapper.NewDiscoveryRESTMapper(groups), now
		m.known = map[schema.GroupVersionKind]*meta.RESTMapping{}
		k, err = m.inner.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return nil, err
	}
	m.known[gvk] = k
	return k, nil
}
