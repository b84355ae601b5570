// Package injector asks istiod's sidecar injection webhook what it makes of pods, as the api-server does when a pod is
// created: it finds the webhook where the api-server would, in its MutatingWebhookConfiguration, and speaks the same
// AdmissionReview to it.
package injector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/runtime"
)

// Config sets up an [Injector].
type Config struct {
	// Client reads the webhook's configuration. Required.
	Client kubernetes.Interface
	// Webhook is the name of the MutatingWebhookConfiguration; "" means istio-sidecar-injector.
	Webhook string
	// Address is dialled, host:port, in place of the webhook's own, which may be a Service that only the cluster knows.
	// Its certificate has to be the webhook's all the same. "" means the webhook's own.
	Address string
	// Insecure does not verify who answers.
	Insecure bool
}

// Injector shows pods to istiod's webhook. It implements [runtime.Injector], is safe for concurrent use, and keeps its
// connections.
type Injector struct {
	cfg Config

	mu    sync.Mutex
	found *webhook // nil before it is first looked for, and after it could not be reached
}

var _ runtime.Injector = (*Injector)(nil)

// New returns an injector that asks nobody before it is used.
func New(cfg Config) *Injector {
	if cfg.Webhook == "" {
		cfg.Webhook = defaultWebhook
	}
	return &Injector{cfg: cfg}
}

// Inject implements [runtime.Injector]. The pod is not changed. Like the api-server, it does not try again.
func (i *Injector) Inject(ctx context.Context, o runtime.Object) (runtime.Object, error) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return nil, fmt.Errorf("%T is not a pod", o)
	}
	w, err := i.webhook(ctx)
	if err != nil {
		return nil, err
	}
	r, err := newReview(pod)
	if err != nil {
		return nil, err
	}
	answer, err := w.post(ctx, r.body)
	if err != nil {
		if ctx.Err() == nil && !errors.As(err, new(*statusError)) {
			i.lost(w)
		}
		return nil, err
	}
	return r.patched(answer)
}

// webhook returns where to ask, looked up once.
func (i *Injector) webhook(ctx context.Context) (*webhook, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.found == nil {
		w, err := i.cfg.find(ctx)
		if err != nil {
			return nil, err
		}
		i.found = w
	}
	return i.found, nil
}

// lost has the webhook looked up again: an istiod that was started anew may have another address and authority.
func (i *Injector) lost(w *webhook) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.found == w {
		i.found = nil
		w.client.CloseIdleConnections()
	}
}

// Close closes the connections that no request uses.
func (i *Injector) Close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.found != nil {
		i.found.client.CloseIdleConnections()
	}
}

// maxAnswer bounds what is read of an answer. etcd takes no larger pod than 1.5 MiB, and the patch comes in base64.
const maxAnswer = 4 << 20

// statusError is an answer that is no review.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("istiod answered %d %s: %s", e.code, http.StatusText(e.code), e.text)
}

// post sends one AdmissionReview and returns the one that comes back.
func (w *webhook) post(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the webhook's address: %w", err)
	}
	req.Header.Set("Content-Type", "application/json") // istiod takes no other, not even with a charset
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, w.explain(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading istiod's answer: %w", err)
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("istiod's answer is larger than %d bytes", maxAnswer)
	case resp.StatusCode != http.StatusOK:
		return nil, &statusError{resp.StatusCode, strings.TrimSpace(string(answer[:min(len(answer), 200)]))}
	}
	return answer, nil
}
