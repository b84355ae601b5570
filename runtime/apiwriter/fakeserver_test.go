package apiwriter

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// fakeServer is an api-server small enough to read: objects in a map, discovery, optimistic locking, protobuf and JSON
// in, JSON out. A fault may answer a request in its place, before it is carried out or after.
type fakeServer struct {
	*httptest.Server

	mu      sync.Mutex
	objects map[string]*unstructured.Unstructured // by path without the subresource
	version int
	kinds   []*metav1.APIResourceList
	log     []string // "METHOD path content-type"

	before, after fault
	faults        sync.Mutex // held while one decides: a retry may come while the handler of a lost answer still unwinds
}

// fault may answer a request itself; no two run at once.
type fault func(w http.ResponseWriter, r *http.Request) (handled bool)

func newFakeServer(t *testing.T) *fakeServer {
	verbs := metav1.Verbs{"list", "delete", "deletecollection", "create", "update", "get"}
	s := &fakeServer{objects: map[string]*unstructured.Unstructured{}, kinds: []*metav1.APIResourceList{
		{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "namespaces", Kind: "Namespace", Verbs: metav1.Verbs{"list", "delete", "create"}},
			{Name: "nodes", Kind: "Node", Verbs: verbs},
			{Name: "pods", Kind: "Pod", Namespaced: true, Verbs: verbs},
			{Name: "pods/status", Kind: "Pod", Namespaced: true, Verbs: verbs},
			{Name: "configmaps", Kind: "ConfigMap", Namespaced: true, Verbs: verbs},
		}},
		{GroupVersion: "example.com/v1", APIResources: []metav1.APIResource{
			{Name: "widgets", Kind: "Widget", Namespaced: true, Verbs: verbs},
		}},
	}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *fakeServer) config() *rest.Config { return &rest.Config{Host: s.URL} }

// put stores an object as somebody else would.
func (s *fakeServer) put(path string, u *unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store(path, u)
}

func (s *fakeServer) get(path string) *unstructured.Unstructured {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[path]
}

// requests are those about objects, without discovery.
func (s *fakeServer) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

func (s *fakeServer) store(path string, u *unstructured.Unstructured) {
	s.version++
	u.SetResourceVersion(fmt.Sprint(s.version))
	if u.GetUID() == "" {
		u.SetUID(types.UID(fmt.Sprint("uid", s.version)))
	}
	s.objects[path] = u
}

func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.discovery(w, r) {
		return
	}
	s.mu.Lock()
	s.log = append(s.log, fmt.Sprintf("%s %s %s", r.Method, r.URL.Path, strings.TrimPrefix(r.Header.Get("Content-Type"), "application/")))
	s.mu.Unlock()
	if s.fails(s.before, w, r) {
		return
	}
	rec := httptest.NewRecorder()
	s.mu.Lock()
	s.serve(rec, r)
	s.mu.Unlock()
	if s.fails(s.after, w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes())
}

func (s *fakeServer) fails(f fault, w http.ResponseWriter, r *http.Request) bool {
	if f == nil {
		return false
	}
	s.faults.Lock()
	defer s.faults.Unlock()
	return f(w, r)
}

func (s *fakeServer) discovery(w http.ResponseWriter, r *http.Request) bool {
	var out any
	switch r.URL.Path {
	case "/api":
		out = metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case "/apis":
		v := metav1.GroupVersionForDiscovery{GroupVersion: "example.com/v1", Version: "v1"}
		out = metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList"}, Groups: []metav1.APIGroup{
			{Name: "example.com", Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v},
		}}
	case "/api/v1":
		out = s.kinds[0]
	case "/apis/example.com/v1":
		s.mu.Lock()
		defer s.mu.Unlock()
		out = s.kinds[1]
	default:
		return false
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
	return true
}

func answerStatus(w http.ResponseWriter, code int, reason metav1.StatusReason, details *metav1.StatusDetails) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: int32(code), Reason: reason, Message: string(reason), Details: details,
	})
}

// collections are the paths that name a kind and not an object.
func isCollection(path string) bool {
	parts := strings.Split(path, "/")
	last := parts[len(parts)-1]
	return last == "pods" || last == "configmaps" || last == "widgets" || last == "nodes" || last == "namespaces"
}

func (s *fakeServer) serve(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if isCollection(path) && r.Method != http.MethodPost {
		s.serveCollection(w, r)
		return
	}
	sub := ""
	for _, name := range []string{"status", "finalize"} {
		if p, ok := strings.CutSuffix(path, "/"+name); ok {
			path, sub = p, name
		}
	}
	var body *unstructured.Unstructured
	if r.Method == http.MethodPost || r.Method == http.MethodPut {
		body = decodeBody(r)
		if body == nil {
			answerStatus(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, nil)
			return
		}
	}
	if r.Method == http.MethodPost {
		path += "/" + body.GetName()
	}
	live := s.objects[path]
	switch {
	case r.Method == http.MethodPost && live != nil:
		answerStatus(w, http.StatusConflict, metav1.StatusReasonAlreadyExists, nil)
		return
	case r.Method != http.MethodPost && live == nil:
		answerStatus(w, http.StatusNotFound, metav1.StatusReasonNotFound, nil)
		return
	}
	switch r.Method {
	case http.MethodPut:
		if rv := body.GetResourceVersion(); rv != "" && rv != live.GetResourceVersion() || body.GetUID() != "" && body.GetUID() != live.GetUID() {
			answerStatus(w, http.StatusConflict, metav1.StatusReasonConflict, nil)
			return
		}
		s.store(path, body)
		if spec, _, _ := unstructured.NestedSlice(body.Object, "spec", "finalizers"); sub == "finalize" && len(spec) == 0 {
			delete(s.objects, path)
		}
		live = body
	case http.MethodPost:
		s.store(path, body)
		live = body
	case http.MethodDelete:
		opts := deleteBody(r)
		if p := opts.Preconditions; p != nil && p.UID != nil && *p.UID != live.GetUID() {
			answerStatus(w, http.StatusConflict, metav1.StatusReasonConflict, nil)
			return
		}
		s.removeWith(path, live, opts)
	}
	_ = json.NewEncoder(w).Encode(live)
}

// removeWith is remove with the options of a request: a Pod that says how long it takes to end starts to terminate, unless
// it is given no time.
func (s *fakeServer) removeWith(path string, live *unstructured.Unstructured, opts metav1.DeleteOptions) {
	grace, _, _ := unstructured.NestedInt64(live.Object, "spec", "terminationGracePeriodSeconds")
	if opts.GracePeriodSeconds != nil {
		grace = *opts.GracePeriodSeconds
	}
	if live.GetKind() != "Pod" || grace == 0 {
		s.remove(path, live)
		return
	}
	if live.GetDeletionTimestamp() == nil {
		at := metav1.Unix(grace, 0) // on this server it is always 1970
		live.SetDeletionTimestamp(&at)
		live.SetDeletionGracePeriodSeconds(&grace)
	}
}

// remove deletes an object; a Namespace starts to terminate.
func (s *fakeServer) remove(path string, live *unstructured.Unstructured) {
	if live.GetKind() == "Namespace" || len(live.GetFinalizers()) > 0 {
		now := metav1.Now()
		live.SetDeletionTimestamp(&now)
		return
	}
	delete(s.objects, path)
}

// serveCollection lists or deletes what the label selector matches, in one namespace or in all.
func (s *fakeServer) serveCollection(w http.ResponseWriter, r *http.Request) {
	sel, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		answerStatus(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, nil)
		return
	}
	root, plural := r.URL.Path[:strings.LastIndexByte(r.URL.Path, '/')], r.URL.Path[strings.LastIndexByte(r.URL.Path, '/'):]
	list := metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadataList"}}
	for path, u := range s.objects {
		if !strings.HasPrefix(path, root+"/") || !strings.HasSuffix(path, plural+"/"+u.GetName()) || !sel.Matches(labels.Set(u.GetLabels())) {
			continue
		}
		if r.Method == http.MethodDelete {
			s.removeWith(path, u, deleteBody(r))
			continue
		}
		list.Items = append(list.Items, metav1.PartialObjectMetadata{
			TypeMeta: metav1.TypeMeta{APIVersion: "meta.k8s.io/v1", Kind: "PartialObjectMetadata"},
			ObjectMeta: metav1.ObjectMeta{
				Namespace: u.GetNamespace(), Name: u.GetName(), UID: u.GetUID(), Labels: u.GetLabels(), Finalizers: u.GetFinalizers(),
				DeletionTimestamp: u.GetDeletionTimestamp(),
			},
		})
	}
	_ = json.NewEncoder(w).Encode(list)
}

// deleteBody reads the options of a delete.
func deleteBody(r *http.Request) (opts metav1.DeleteOptions) {
	if raw, err := io.ReadAll(r.Body); err == nil {
		_, _, _ = scheme.Codecs.UniversalDeserializer().Decode(raw, nil, &opts)
	}
	return opts
}

// decodeBody reads an object in either encoding.
func decodeBody(r *http.Request) *unstructured.Unstructured {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	if r.Header.Get("Content-Type") != k8sruntime.ContentTypeProtobuf {
		u := &unstructured.Unstructured{}
		if u.UnmarshalJSON(raw) != nil {
			return nil
		}
		return u
	}
	obj, gvk, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil)
	if err != nil {
		return nil
	}
	content, err := k8sruntime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(*gvk)
	return u
}
