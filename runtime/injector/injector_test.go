package injector

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/plscript/plscript/runtime"
)

// goodPatch adds what istiod's would.
const goodPatch = `[{"op":"add","path":"/metadata/annotations","value":{"sidecar.istio.io/status":"{}"}},
 {"op":"add","path":"/spec/initContainers","value":[{"name":"istio-proxy","image":"x","env":[{"name":"ISTIO_META_MESH_ID","value":"m"}]}]}]`

// answer is what the stand-in for istiod makes of a review.
type answer func(r *admissionv1.AdmissionReview) *admissionv1.AdmissionResponse

func patching(patch string) answer {
	return func(r *admissionv1.AdmissionReview) *admissionv1.AdmissionResponse {
		typ := admissionv1.PatchTypeJSONPatch
		return &admissionv1.AdmissionResponse{UID: r.Request.UID, Allowed: true, Patch: []byte(patch), PatchType: &typ}
	}
}

// webhookServer stands in for istiod. It is as strict as istiod about what it is sent.
func webhookServer(t *testing.T, f answer) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var connections atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") != "application/json" || r.URL.Path != "/inject/net/a" {
			http.Error(w, "invalid Content-Type", http.StatusUnsupportedMediaType)
			return
		}
		var in admissionv1.AdmissionReview
		if body, err := io.ReadAll(r.Body); err != nil || json.Unmarshal(body, &in) != nil || in.Kind != "AdmissionReview" || in.APIVersion != "admission.k8s.io/v1" {
			t.Errorf("not a review: %v", err)
		}
		_ = json.NewEncoder(w).Encode(admissionv1.AdmissionReview{TypeMeta: in.TypeMeta, Response: f(&in)})
	}))
	srv.EnableHTTP2 = true
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, &connections
}

// configured returns an injector that finds the server by a MutatingWebhookConfiguration.
func configured(srv *httptest.Server, change func(*admissionregistrationv1.WebhookClientConfig), cfg Config) *Injector {
	// The certificate of httptest is for example.com.
	url := "https://example.com/inject/net/a"
	cc := admissionregistrationv1.WebhookClientConfig{
		URL: &url, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}),
	}
	if change != nil {
		change(&cc)
	}
	cfg.Client = fake.NewClientset(&admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: defaultWebhook}, Webhooks: []admissionregistrationv1.MutatingWebhook{{Name: "a", ClientConfig: cc}},
	})
	if cfg.Address == "" {
		cfg.Address = srv.Listener.Addr().String()
	}
	return New(cfg)
}

func pod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web-1"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "y"}}},
	}
}

func TestInject(t *testing.T) {
	t.Parallel()
	var seen atomic.Pointer[admissionv1.AdmissionReview]
	srv, connections := webhookServer(t, func(r *admissionv1.AdmissionReview) *admissionv1.AdmissionResponse {
		seen.Store(r)
		return patching(goodPatch)(r)
	})
	i := configured(srv, nil, Config{})
	defer i.Close()
	in := pod()
	var first runtime.Object
	for range 20 {
		out, err := i.Inject(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		first = out
	}
	got := first.(*corev1.Pod)
	if got.Spec.InitContainers[0].Name != "istio-proxy" || got.Spec.Containers[0].Name != "app" || got.Name != "web-1" {
		t.Errorf("patched: %+v", got.Spec)
	}
	if len(in.Spec.InitContainers) != 0 || in.Annotations != nil {
		t.Error("the pod that was shown has changed")
	}
	if r := seen.Load().Request; r.Operation != admissionv1.Create || r.Namespace != "shop" || r.Kind.Kind != "Pod" || r.Resource.Resource != "pods" || r.UID == "" {
		t.Errorf("request %+v", r)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("20 pods one after the other took %d connections", n)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	changed := func(change func(*admissionv1.AdmissionResponse)) answer {
		return func(r *admissionv1.AdmissionReview) *admissionv1.AdmissionResponse {
			a := patching(goodPatch)(r)
			change(a)
			return a
		}
	}
	for name, c := range map[string]struct {
		answer answer
		want   string
	}{
		"denied": {changed(func(a *admissionv1.AdmissionResponse) {
			a.Allowed, a.Result = false, &metav1.Status{Message: "proxy config is broken"}
		}), "istiod does not allow the pod: proxy config is broken"},
		"denied without a reason": {changed(func(a *admissionv1.AdmissionResponse) { a.Allowed = false }), "it gives no reason"},
		"another review":          {changed(func(a *admissionv1.AdmissionResponse) { a.UID = "x" }), `istiod answered review "x"`},
		"not injected":            {changed(func(a *admissionv1.AdmissionResponse) { a.Patch = nil }), "left the pod as it is"},
		"another patch":           {changed(func(a *admissionv1.AdmissionResponse) { a.PatchType = nil }), "not of type JSONPatch"},
		"no response":             {func(*admissionv1.AdmissionReview) *admissionv1.AdmissionResponse { return nil }, "holds no response"},
		"broken patch":            {patching(`{`), "istiod's patch"},
		"patch of another pod":    {patching(`[{"op":"remove","path":"/spec/nothing"}]`), "does not fit the pod"},
		"another type":            {patching(`[{"op":"replace","path":"/spec/containers","value":7}]`), "the patched pod"},
		"another name":            {patching(`[{"op":"replace","path":"/metadata/name","value":"x"}]`), "another pod of it: shop/x"},
		"no proxy":                {patching(`[{"op":"add","path":"/metadata/labels","value":{"a":"b"}}]`), "adds no proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, _ := webhookServer(t, c.answer)
			out, err := configured(srv, nil, Config{}).Inject(t.Context(), pod())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v; want an error with %q", out, err, c.want)
			}
		})
	}
}

// TestWhoAnswers: nobody but the one whom the configuration trusts, under the name that it gives.
func TestWhoAnswers(t *testing.T) {
	t.Parallel()
	srv, _ := webhookServer(t, patching(goodPatch))
	other, _ := webhookServer(t, patching(goodPatch))
	strange := "https://elsewhere.test/inject/net/a"
	service := func(cc *admissionregistrationv1.WebhookClientConfig) {
		path := "/inject/net/a"
		cc.URL, cc.Service = nil, &admissionregistrationv1.ServiceReference{Namespace: "istio-system", Name: "istiod", Path: &path}
	}
	for name, c := range map[string]struct {
		change func(*admissionregistrationv1.WebhookClientConfig)
		cfg    Config
		want   string // in the error; "" for none
	}{
		"another name":         {func(cc *admissionregistrationv1.WebhookClientConfig) { cc.URL = &strange }, Config{}, "elsewhere.test"},
		"nobody's authority":   {func(cc *admissionregistrationv1.WebhookClientConfig) { cc.CABundle = nil }, Config{}, "certificate"},
		"insecure":             {func(cc *admissionregistrationv1.WebhookClientConfig) { cc.URL = &strange }, Config{Insecure: true}, ""},
		"broken authority":     {func(cc *admissionregistrationv1.WebhookClientConfig) { cc.CABundle = []byte("x") }, Config{}, "caBundle"},
		"neither URL nor name": {func(cc *admissionregistrationv1.WebhookClientConfig) { cc.URL = nil }, Config{}, "neither a URL nor a service"},
		"the service's name":   {service, Config{}, "istiod.istio-system.svc"}, // which the certificate does not have
		"a service":            {service, Config{Insecure: true, Address: other.Listener.Addr().String()}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := configured(srv, c.change, c.cfg).Inject(t.Context(), pod())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestNoWebhook: a cluster that Istio's webhook is not installed in is no target for injection.
func TestNoWebhook(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Client: fake.NewClientset()}).Inject(t.Context(), pod())
	if none := (*runtime.NoServiceError)(nil); !errors.As(err, &none) {
		t.Errorf("%v", err)
	}
}

// TestRestartedIstiod: after an istiod that is gone, the next one is looked up anew.
func TestRestartedIstiod(t *testing.T) {
	t.Parallel()
	srv, _ := webhookServer(t, patching(goodPatch))
	next, _ := webhookServer(t, patching(goodPatch))
	i := configured(srv, nil, Config{})
	if _, err := i.Inject(t.Context(), pod()); err != nil {
		t.Fatal(err)
	}
	srv.Close()
	if _, err := i.Inject(t.Context(), pod()); err == nil {
		t.Fatal("nobody listens, and somebody answered")
	}
	i.cfg.Address = next.Listener.Addr().String()
	if _, err := i.Inject(t.Context(), pod()); err != nil {
		t.Fatal(err)
	}
}

func TestBadAnswers(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"istiod answered 500": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no body found", http.StatusInternalServerError)
		},
		"istiod's answer": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"larger than":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxAnswer+1)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewTLSServer(h)
			t.Cleanup(srv.Close)
			if _, err := configured(srv, nil, Config{}).Inject(t.Context(), pod()); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestCancelled: a run that has ended waits for nobody.
func TestCancelled(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	over := make(chan struct{})
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-over
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(func() { close(over) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := configured(srv, nil, Config{}).Inject(ctx, pod()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
