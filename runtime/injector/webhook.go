package injector

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// defaultWebhook is what Istio's chart calls the configuration of the default revision.
const defaultWebhook = "istio-sidecar-injector"

// defaultTimeout is the api-server's for webhooks that set none.
const defaultTimeout = 10 * time.Second

// idleConnections are kept, where istiod speaks HTTP/1.1: as many as a run has calls under way.
const idleConnections = 16

// webhook is where to ask.
type webhook struct {
	url     string
	service string // "namespace/name" if the configuration names one
	client  *http.Client
}

// find reads the configuration. All of its webhooks, which differ in what they select, lead to the same istiod.
func (c Config) find(ctx context.Context) (*webhook, error) {
	cfg, err := c.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, c.Webhook, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, &runtime.NoServiceError{
			Need: "inject pods", Hint: fmt.Sprintf("it has no MutatingWebhookConfiguration %s; let the apps say inject: \"none\"", c.Webhook),
		}
	case err != nil:
		return nil, fmt.Errorf("istiod's injection webhook: %w", err)
	case len(cfg.Webhooks) == 0:
		return nil, fmt.Errorf("istiod's injection webhook: MutatingWebhookConfiguration %s is empty", c.Webhook)
	}
	w, err := c.open(cfg.Webhooks[0])
	if err != nil {
		return nil, fmt.Errorf("istiod's injection webhook: MutatingWebhookConfiguration %s: %w", c.Webhook, err)
	}
	return w, nil
}

func (c Config) open(hook admissionregistrationv1.MutatingWebhook) (*webhook, error) {
	w := &webhook{}
	name, err := w.locate(hook.ClientConfig)
	if err != nil {
		return nil, err
	}
	trust := &tls.Config{ServerName: name, MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.Insecure}
	if bundle := hook.ClientConfig.CABundle; len(bundle) > 0 {
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(bundle) {
			return nil, errors.New("its caBundle holds no certificate")
		}
	}
	dialer := &net.Dialer{Timeout: defaultTimeout}
	transport := &http.Transport{
		TLSClientConfig: trust, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: idleConnections,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if c.Address != "" {
				address = c.Address
			}
			return dialer.DialContext(ctx, network, address)
		},
	}
	timeout := defaultTimeout
	if s := hook.TimeoutSeconds; s != nil {
		timeout = time.Duration(*s) * time.Second
	}
	w.client = &http.Client{Transport: transport, Timeout: timeout}
	return w, nil
}

// locate sets the URL, and returns the name that its certificate has to have.
func (w *webhook) locate(cc admissionregistrationv1.WebhookClientConfig) (name string, err error) {
	if cc.URL != nil {
		u, err := url.Parse(*cc.URL)
		if err != nil {
			return "", fmt.Errorf("its URL: %w", err)
		}
		w.url = u.String()
		return u.Hostname(), nil
	}
	s := cc.Service
	if s == nil {
		return "", errors.New("it has neither a URL nor a service")
	}
	port, path := int32(443), ""
	if s.Port != nil {
		port = *s.Port
	}
	if s.Path != nil {
		path = *s.Path
	}
	name = s.Name + "." + s.Namespace + ".svc"
	w.url = "https://" + net.JoinHostPort(name, strconv.Itoa(int(port))) + path
	w.service = s.Namespace + "/" + s.Name
	return name, nil
}

// explain says what to do about a webhook that cannot be reached.
func (w *webhook) explain(err error) error {
	if dns := (*net.DNSError)(nil); w.service != "" && errors.As(err, &dns) {
		return &runtime.NoServiceError{
			Need: "inject pods from here",
			Hint: fmt.Sprintf("Service %s is known in the cluster only; forward its port and name it with --injection-address (%v)", w.service, dns),
		}
	}
	return fmt.Errorf("asking istiod's injection webhook: %w", err)
}
