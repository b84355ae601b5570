package apiwriter

import (
	"context"
	"errors"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter/internal/etcd"
	"github.com/plscript/plscript/runtime/apiwriter/internal/registry"
)

// kv is the etcd of an api-server.
type kv interface {
	Get(ctx context.Context, key string) (etcd.Item, bool, error)
	List(ctx context.Context, prefix string) ([]etcd.Item, error)
	// Commit keeps nothing of t.
	Commit(ctx context.Context, t *etcd.Txn) (rev int64, ok bool, err error)
}

// store is the backend for a sandbox: what it can, it writes past the api-server into etcd; all else it hands to the
// api backend, which also gets the last word whenever something is not as expected.
//
// Each object is a transaction of its own. A watch that begins while the api-server hands out the events of one revision
// loses the rest of them, so a transaction must never hold two objects of a kind. (That would be faster.)
type store struct {
	kv      kv
	cfg     *Store
	api     backend
	runID   string
	clock   runtime.Clock
	ledger  *ledger
	budget  *budget
	cluster *surroundings
}

// newStore returns the backend of cfg.Store. It makes no request until it is used.
func newStore(cfg Config, kv kv, api backend, b *budget, l *ledger) *store {
	return &store{
		kv: kv, cfg: cfg.Store, api: api, runID: cfg.RunID, clock: cfg.Clock, ledger: l, budget: b,
		cluster: newSurroundings(kv, cfg.Clock),
	}
}

// send implements backend.
func (s *store) send(ctx context.Context, r request) (answer, error) {
	k, ok := s.wants(r)
	if !ok {
		return s.api.send(ctx, r)
	}
	a, err := s.write(ctx, k, r)
	if errors.Is(err, registry.ErrUnknown) {
		return s.api.send(ctx, r)
	}
	return a, err
}

// wants reports whether r is to be written past the api-server. What a user wrote never is: the api-server validates
// it. What met a conflict is not either, since that needs a look at the object.
func (s *store) wants(r request) (registry.Kind, bool) {
	k, known := registry.KindOf(r.target.gvk())
	setup := r.op.Setup || r.op.Priority == runtime.PriorityBulk
	return k, known && r.target.built && !r.reread && (setup || s.cfg.Always)
}

// write makes the write, or returns registry.ErrUnknown without having changed anything.
func (s *store) write(ctx context.Context, k registry.Kind, r request) (answer, error) {
	obj := r.op.Object
	switch r.op.Verb {
	case runtime.VerbCreate:
		return s.create(ctx, k, obj)
	case runtime.VerbUpdate:
		return s.update(ctx, k, obj)
	case runtime.VerbDelete:
		return s.remove(ctx, k, r)
	}
	return answer{}, registry.ErrUnknown
}

// create stores a new object. One that exists already is for the api backend to judge, by its owner.
func (s *store) create(ctx context.Context, k registry.Kind, obj runtime.Object) (_ answer, err error) {
	ns, err := s.admit(ctx, k, admissionv1.Create, obj)
	if err != nil {
		return answer{}, err
	}
	// The api-server must get the object as it was, should it be asked after all. What a load consists of is completed in
	// place, without a copy to collect.
	if pod, ok := obj.(*corev1.Pod); ok {
		before := *pod
		defer func() {
			if err != nil {
				*pod = before
			}
		}()
	} else {
		obj = shallow(obj)
	}
	if err := s.complete(ctx, k, obj); err != nil {
		return answer{}, err
	}
	namespace := obj.GetNamespace()
	key := k.Key(namespace, obj.GetName())
	var rev int64
	if svc, ok := obj.(*corev1.Service); ok {
		obj, rev, err = s.commitService(ctx, key, ns, svc)
	} else {
		rev, err = s.commit(ctx, key, ns, k, obj)
	}
	if err != nil {
		s.cluster.forget(namespace)
		return answer{}, err
	}
	obj.SetResourceVersion(strconv.FormatInt(rev, 10))
	s.cluster.learn(obj, key, rev)
	return answer{object: obj, resource: k.Resource, uid: obj.GetUID(), stored: true}, nil
}

// admit decides whether the api-server would take a write of obj without changing it or asking anybody.
func (s *store) admit(ctx context.Context, k registry.Kind, op admissionv1.OperationType, obj runtime.Object) (*namespaceInfo, error) {
	ns, err := s.cluster.namespace(ctx, obj.GetNamespace())
	if err != nil {
		return nil, err
	}
	hooks, err := s.cluster.webhooks(ctx)
	if err != nil {
		return nil, err
	}
	labels := ns.labels
	if k.GVK == registry.Namespace.GVK {
		labels = obj.GetLabels()
	}
	if hooks.See(k, op, labels, obj.GetLabels()) {
		return nil, registry.ErrUnknown
	}
	return ns, nil
}

// complete makes obj what the api-server would store; a pod on one of the run's own nodes as its kubelet leaves it.
func (s *store) complete(ctx context.Context, k registry.Kind, obj runtime.Object) error {
	now := s.clock.Now()
	var node *corev1.Node
	pod, isPod := obj.(*corev1.Pod)
	if isPod {
		var err error
		if node, err = s.cluster.node(ctx, pod.Spec.NodeName); err != nil {
			return err
		}
	}
	if err := k.New(obj, now); err != nil {
		return err
	}
	if _, ok := obj.(*corev1.Service); ok {
		return nil // it gets its address with its place
	}
	if err := registry.Complete(obj, node); err != nil {
		return err
	}
	if isPod && s.cfg.Kubelet != nil && node.Labels[runtime.LabelClass] != "" && node.Labels[runtime.LabelRun] == s.runID {
		s.cfg.Kubelet(pod, node, now)
	}
	return nil
}

// shallow is a copy of obj that shares its maps and slices, which completing an object replaces and never changes.
func shallow(obj runtime.Object) runtime.Object {
	if o, ok := obj.(*discoveryv1.EndpointSlice); ok {
		c := *o
		return &c
	}
	return obj.DeepCopyObject().(runtime.Object)
}

// commit stores a new object. A condition that does not hold is registry.ErrUnknown.
func (s *store) commit(ctx context.Context, key string, ns *namespaceInfo, k registry.Kind, obj runtime.Object) (int64, error) {
	d := newDraft()
	defer d.free()
	d.require(key, 0)
	ns.unchanged(d)
	if err := d.put(key, k, obj); err != nil {
		return 0, err
	}
	return d.commit(ctx, s.kv)
}

// addressTries is how many addresses are tried for a Service before the api-server's allocator is asked, which knows
// which are free.
const addressTries = 8

// commitService stores a Service together with the IPAddress that it takes, and returns it.
func (s *store) commitService(ctx context.Context, key string, ns *namespaceInfo, blank *corev1.Service) (runtime.Object, int64, error) {
	cidr, err := s.cluster.services(ctx)
	if err != nil {
		return nil, 0, err
	}
	for n := range addressTries {
		svc := blank.DeepCopy()
		address, err := registry.CompleteService(svc, registry.Address(cidr, svc.Namespace, svc.Name, n))
		if err != nil {
			return nil, 0, err
		}
		if err := registry.IPAddress.New(address, s.clock.Now()); err != nil {
			return nil, 0, err
		}
		taken := registry.IPAddress.Key("", address.Name)
		rev, err := s.commitPair(ctx, key, taken, ns, svc, address)
		if !errors.Is(err, registry.ErrUnknown) {
			return svc, rev, err
		}
		if _, there, err := s.kv.Get(ctx, taken); err != nil || !there {
			return nil, 0, errors.Join(registry.ErrUnknown, err) // it was not the address
		}
	}
	return nil, 0, registry.ErrUnknown
}

// commitPair stores a new Service and its IPAddress. They are of two kinds, so they may share a revision.
func (s *store) commitPair(ctx context.Context, key, taken string, ns *namespaceInfo, svc *corev1.Service, ip *networkingv1.IPAddress) (int64, error) {
	d := newDraft()
	defer d.free()
	d.require(key, 0)
	d.require(taken, 0)
	ns.unchanged(d)
	if err := d.put(taken, registry.IPAddress, ip); err != nil {
		return 0, err
	}
	if err := d.put(key, registry.Service, svc); err != nil {
		return 0, err
	}
	return d.commit(ctx, s.kv)
}

// update replaces an EndpointSlice or a Lease that is known in its last version.
func (s *store) update(ctx context.Context, k registry.Kind, obj runtime.Object) (answer, error) {
	rev, err := strconv.ParseInt(obj.GetResourceVersion(), 10, 64)
	if err != nil || obj.GetUID() == "" || k.GVK != registry.EndpointSlice.GVK && k.GVK != registry.Lease.GVK {
		return answer{}, registry.ErrUnknown
	}
	if _, err := s.admit(ctx, k, admissionv1.Update, obj); err != nil {
		return answer{}, err
	}
	obj = shallow(obj)
	if k.GVK == registry.EndpointSlice.GVK {
		// Whatever changes raises it (pkg/registry/discovery/endpointslice, PrepareForUpdate). A Lease has none.
		obj.SetGeneration(obj.GetGeneration() + 1)
	}
	key := k.Key(obj.GetNamespace(), obj.GetName())
	d := newDraft()
	defer d.free()
	d.require(key, rev)
	if err := d.put(key, k, obj); err != nil {
		return answer{}, err
	}
	next, err := d.commit(ctx, s.kv)
	if err != nil {
		return answer{}, err
	}
	obj.SetResourceVersion(strconv.FormatInt(next, 10))
	return answer{object: obj, resource: k.Resource, uid: obj.GetUID(), stored: true}, nil
}

// remove deletes a Pod or an EndpointSlice, if it is the one that is meant and nothing holds it.
func (s *store) remove(ctx context.Context, k registry.Kind, r request) (answer, error) {
	if k.GVK != registry.Pod.GVK && k.GVK != registry.EndpointSlice.GVK {
		return answer{}, registry.ErrUnknown
	}
	uid := r.meant(s.ledger, s.runID)
	if uid == "" {
		return answer{}, registry.ErrUnknown
	}
	if _, err := s.admit(ctx, k, admissionv1.Delete, r.op.Object); err != nil {
		return answer{}, err
	}
	key := k.Key(r.target.id.namespace, r.target.id.name)
	if err := s.budget.take(ctx); err != nil {
		return answer{}, err
	}
	item, there, err := s.kv.Get(ctx, key)
	if err != nil {
		return answer{}, err
	}
	if !there {
		return answer{resource: k.Resource, uid: uid, stored: true}, nil
	}
	d := newDraft()
	defer d.free()
	if err := s.removal(d, k, r, uid, item); err != nil {
		return answer{}, err
	}
	if _, err := d.commit(ctx, s.kv); err != nil {
		return answer{}, err
	}
	return answer{resource: k.Resource, uid: uid, stored: true}, nil
}

// removal drafts what deletes a stored object; or, of a Pod that its kubelet is given time to end, what says so.
func (s *store) removal(d *draft, k registry.Kind, r request, uid types.UID, item etcd.Item) error {
	d.require(item.Key, item.Rev)
	live, err := k.IdentityOf(item.Value)
	switch {
	case err != nil, live.UID != uid, live.Held:
		return registry.ErrUnknown
	case r.op.Priority == runtime.PriorityControl:
		d.remove(item.Key)
		return nil
	case live.Deleting:
		return registry.ErrUnknown
	}
	if k.GVK == registry.Pod.GVK {
		var pod corev1.Pod
		if err := registry.Decode(item.Value, &pod); err != nil {
			return permanent{err}
		}
		if registry.Terminate(&pod, s.clock.Now()) {
			return d.put(item.Key, k, &pod)
		}
	}
	d.remove(item.Key)
	return nil
}
