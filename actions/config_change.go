package actions

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/runtime"
)

// follow has the write of an object measured until the proxies hold it, if its kind is one that can be. audience selects
// the proxies that have to get a new object; nil leaves it open.
func follow(in runtime.Intent, o *unstructured.Unstructured, key runtime.ObjectKey, audience func(runtime.Proxy) bool) runtime.Intent {
	kind, ok := runtime.ConfigChangeKind(key)
	if !ok {
		return in
	}
	in.Change = func() runtime.Change {
		return runtime.Change{Kind: kind, Config: &runtime.ConfigChange{
			Object: key, Fields: runtime.ScalarFields(o.Object), Audience: audience,
		}}
	}
	return in
}

// followGone is follow for the removal of an object.
func followGone(in runtime.Intent, key runtime.ObjectKey) runtime.Intent {
	kind, ok := runtime.ConfigChangeKind(key)
	if !ok {
		return in
	}
	in.Change = func() runtime.Change {
		return runtime.Change{Kind: kind, Removed: true, Config: &runtime.ConfigChange{Object: key}}
	}
	return in
}

// audience returns whether a proxy is that of a pod which the selector selects among those planned now; nil for no selector.
func audience(ctx context.Context, m *runtime.Mesh, s *runtime.Selector) (func(runtime.Proxy) bool, error) {
	if s == nil {
		return nil, nil
	}
	keys := map[string]bool{}
	for _, ns := range m.Namespaces() {
		for _, app := range m.Apps(ns) {
			for _, pod := range m.Pods(app) {
				ok, err := s.Matches(ctx, runtime.Scene{Namespace: ns, App: app, Pod: pod})
				if err != nil {
					return nil, fmt.Errorf("audience: %w", err)
				}
				if ok {
					keys[pod.Key()] = true
				}
			}
		}
	}
	return func(p runtime.Proxy) bool { return keys[p.Key()] }, nil
}
