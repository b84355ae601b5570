package apiwriter

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
)

// fieldManager owns the fields that plscript sets, in every object's managedFields.
const fieldManager = "plscript"

// backend carries out one write. It returns nil only if the write's purpose is achieved.
type backend interface {
	send(ctx context.Context, r request) (answer, error)
}

// request is one attempt of a write.
type request struct {
	op     runtime.Op
	target target
	reread bool // read the object first: what is known of it is out of date
}

// answer is what is known after a write that was accepted.
type answer struct {
	object   runtime.Object // nil for deletes
	resource string         // the plural
	uid      types.UID      // "" if unknown
	stored   bool           // it was written past the api-server
}

// api is the backend for any cluster: every write is a request to the api-server.
type api struct {
	conns  []*conn
	next   atomic.Uint64
	mapper *mapper
	budget *budget
	ledger *ledger
	runID  string
}

func newAPI(cfg Config, b *budget, l *ledger) (*api, error) {
	base := baseConfig(cfg.REST, cfg.Scenario)
	conns, err := dialConns(base, (cfg.Concurrency+streamsPerConn-1)/streamsPerConn)
	if err != nil {
		return nil, err
	}
	disco := rest.CopyConfig(base)
	disco.Timeout = discoveryTimeout
	m, err := newMapper(disco, conns[0].http, cfg.Clock)
	if err != nil {
		return nil, fmt.Errorf("set up discovery: %w", err)
	}
	return &api{conns: conns, mapper: m, budget: b, ledger: l, runID: cfg.RunID}, nil
}

func (a *api) close() {
	for _, c := range a.conns {
		c.http.CloseIdleConnections()
	}
}

// send implements backend.
func (a *api) send(ctx context.Context, r request) (answer, error) {
	m, err := a.mapper.mapping(r.target.gvk())
	if err != nil {
		return answer{}, err
	}
	e := exchange{api: a, request: r, mapping: m}
	var out answer
	switch r.op.Verb {
	case runtime.VerbCreate:
		out.object, err = e.create(ctx)
	case runtime.VerbUpdate:
		out.object, err = e.replace(ctx, "")
	case runtime.VerbStatus:
		out.object, err = e.replace(ctx, "status")
	case runtime.VerbDelete:
		out.uid, err = e.remove(ctx)
	case runtime.VerbFinalize:
		out.object, err = e.finalize(ctx)
	}
	if err != nil {
		return answer{}, err
	}
	out.resource = m.Resource.Resource
	if out.object != nil {
		out.uid = out.object.GetUID()
	}
	return out, nil
}

// call is one HTTP request about the object of a write.
type call struct {
	method      string
	subresource string
	body        k8sruntime.Object
}

// call sends c and returns the object in the answer, or nil if the answer to a DELETE is not of interest.
func (e *exchange) call(ctx context.Context, c call) (runtime.Object, error) {
	t := e.target
	conn := e.api.conns[e.api.next.Add(1)%uint64(len(e.api.conns))]
	cl, err := conn.client(clientKey{e.mapping.Resource.GroupVersion(), t.typed})
	if err != nil {
		return nil, permanent{err}
	}
	req := cl.Verb(c.method).MaxRetries(0).
		NamespaceIfScoped(t.id.namespace, e.mapping.Scope.Name() == meta.RESTScopeNameNamespace).
		Resource(e.mapping.Resource.Resource)
	if c.method != http.MethodPost {
		req.Name(t.id.name)
	}
	if c.subresource != "" {
		req.SubResource(c.subresource)
	}
	if c.method == http.MethodPost || c.method == http.MethodPut {
		req.Param("fieldManager", fieldManager)
	}
	if c.body != nil {
		if err := setBody(req, c.body, t.typed); err != nil {
			return nil, permanent{err}
		}
	}
	if err := req.Error(); err != nil {
		return nil, permanent{err}
	}
	res := req.Do(ctx)
	if err := statusError(res); err != nil {
		return nil, err
	}
	if c.method == http.MethodDelete {
		return nil, nil
	}
	return e.decode(res)
}

// setBody encodes body, by the client's own protobuf encoder or as JSON that the api-server checks for unknown fields.
func setBody(req *rest.Request, body k8sruntime.Object, typed bool) error {
	if typed {
		return req.Body(body).Error()
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	req.Body(raw).SetHeader("Content-Type", k8sruntime.ContentTypeJSON)
	if _, ok := body.(*metav1.DeleteOptions); !ok {
		req.Param("fieldValidation", metav1.FieldValidationStrict)
	}
	return nil
}

// statusError is the error of res. The Status in a body may lack the Retry-After of the header, which client-go keeps
// only in the error that it makes without the body.
func statusError(res rest.Result) error {
	err := res.Error()
	if !apierrors.IsTooManyRequests(err) {
		return err
	}
	if _, ok := apierrors.SuggestsClientDelay(err); ok {
		return err
	}
	if _, bare := res.Raw(); apierrors.IsTooManyRequests(bare) {
		return bare
	}
	return err
}

func (e *exchange) decode(res rest.Result) (runtime.Object, error) {
	if !e.target.typed {
		raw, err := res.Raw()
		if err != nil {
			return nil, err
		}
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(raw); err != nil {
			return nil, fmt.Errorf("decode the answer: %w", err)
		}
		return u, nil
	}
	into, err := scheme.Scheme.New(e.target.gvk())
	if err != nil {
		return nil, permanent{err}
	}
	obj, ok := into.(runtime.Object)
	if !ok {
		return nil, permanent{fmt.Errorf("%T is not an object", into)}
	}
	if err := res.Into(obj); err != nil {
		return nil, fmt.Errorf("decode the answer: %w", err)
	}
	return obj, nil
}
