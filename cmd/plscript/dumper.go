package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/dump"
	"github.com/plscript/plscript/runtime/xdspool"
	"github.com/plscript/plscript/runtime/xdspool/auth"
	"github.com/plscript/plscript/runtime/xdspool/oracle"
)

// dumper impersonates pods of a target and writes what istiod sends them as files for Envoy.
type dumper struct {
	target   *target
	metadata map[string]any
	insecure bool
	patience time.Duration // how long istiod may be silent before what is missing is done without; 0 means 3 s
	admin    uint32        // the port of Envoy's admin pages
	log      *slog.Logger
}

// dumped is what became of a dump.
type dumped struct {
	proxy runtime.Proxy
	*dump.Summary
	notes []string // what a reader should know
}

// dump writes one pod's files; root is the folder that they go to, as Envoy will find it.
func (d *dumper) dump(ctx context.Context, namespace, pod string, files runtime.Files, root string) (*dumped, error) {
	client, err := kubernetes.NewForConfig(d.target.rest)
	if err != nil {
		return nil, err
	}
	out := &dumped{}
	if err := d.findProxy(ctx, client, namespace, pod, out); err != nil {
		return nil, err
	}
	creds, err := d.authenticator(client)
	if err != nil {
		return nil, err
	}
	cfg := dump.Config{Resources: dump.Resources{}, Root: root, AdminPort: d.admin}
	pool := xdspool.Config{IstioVersion: d.target.version, Metadata: d.metadata}
	if cfg.Node, err = pool.Node(out.proxy); err != nil {
		return nil, err
	}
	if err := d.fetch(ctx, out, creds, &cfg); err != nil {
		return nil, err
	}
	if d.authority() == "" {
		out.notes = append(out.notes, "no workload certificate: it is asked for at istiod's secure port, as in --pilot-address localhost:15012")
	} else {
		pair, err := creds.KeyPair(ctx, out.proxy)
		if err != nil {
			return nil, err
		}
		if cfg.Secrets, err = dump.WorkloadSecrets(pair); err != nil {
			return nil, err
		}
	}
	out.Summary, err = dump.Write(files, cfg)
	return out, err
}

// findProxy looks the pod up and says which proxy it has.
func (d *dumper) findProxy(ctx context.Context, client kubernetes.Interface, namespace, name string, out *dumped) error {
	pod, err := client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("pod %s/%s: %w", namespace, name, err)
	}
	p, ok := runtime.PodProxy(pod)
	switch {
	case !ok:
		p = runtime.Proxy{
			Class: runtime.ClassSidecar, Namespace: namespace, Name: name, IP: pod.Status.PodIP, Node: pod.Spec.NodeName,
			ServiceAccount: pod.Spec.ServiceAccountName, App: name, Labels: pod.Labels,
		}
		out.notes = append(out.notes, "the pod has no proxy: this is what a sidecar in it would get")
	case p.Class == runtime.ClassZtunnel:
		return fmt.Errorf("pod %s/%s is a ztunnel, which is no Envoy and has no such files", namespace, name)
	}
	if p.IP == "" {
		return fmt.Errorf("pod %s/%s has no IP yet", namespace, name)
	}
	if p.Zone == "" && p.Region == "" {
		// Without leave to read Nodes, or without a Node, the proxy has no locality, as some have not.
		if node, err := client.CoreV1().Nodes().Get(ctx, p.Node, metav1.GetOptions{}); err == nil {
			p.Zone, p.Region = node.Labels[corev1.LabelTopologyZone], node.Labels[corev1.LabelTopologyRegion]
		}
	}
	out.proxy = p
	return nil
}

// authority is istiod's secure port, which certificates come from; "" if it is not known.
func (d *dumper) authority() string {
	switch {
	case secure(d.target.auth):
		return d.target.xds
	case d.target.box != nil:
		return d.target.box.SecureXDSAddress()
	}
	return ""
}

func (d *dumper) authenticator(client kubernetes.Interface) (*auth.Authenticator, error) {
	clock := wallClock{}
	cfg := auth.Config{
		Mode: d.target.auth, Tokens: auth.Cached(auth.KubeTokens(client, tokenAudience, clock), clock),
		Roots: auth.KubeRoots(client, istioSystem), Insecure: d.insecure, Clock: clock,
		Key: auth.RSA, // the agent's default
	}
	if a := d.authority(); a != "" {
		cfg.CA = auth.NewIstiodCA(a, auth.Verify(cfg.Roots, "", cfg.Insecure, clock), clock)
	}
	return auth.New(cfg)
}

// istiod admits a few new streams a second and tells the others to come back.
const (
	dumpTries = 5
	dumpPause = time.Second
)

// fetch asks istiod for all that the proxy is sent.
func (d *dumper) fetch(ctx context.Context, out *dumped, creds *auth.Authenticator, cfg *dump.Config) error {
	shown, err := creds.Credentials(ctx, out.proxy)
	if err != nil {
		return d.target.unreachable(explainCredentials(err))
	}
	if err := d.greet(ctx, shown); err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := d.fetchOnce(ctx, shown, cfg)
		missing := (*oracle.MissingError)(nil)
		switch {
		case err == nil:
			return nil
		case errors.As(err, &missing):
			if len(cfg.Resources) == 0 {
				return fmt.Errorf("istiod at %s answers nothing: %w", d.target.xds, err)
			}
			out.notes = append(out.notes, missing.Error())
			return nil
		case status.Code(err) != codes.ResourceExhausted || try == dumpTries:
			return d.target.unreachable(explainCredentials(err))
		}
		if err := (wallClock{}).Sleep(ctx, dumpPause); err != nil {
			return err
		}
	}
}

// greet finds out whether somebody is there and speaks as istiod does, which a gRPC client would wait for without a word.
func (d *dumper) greet(ctx context.Context, creds xdspool.Credentials) error {
	conn, err := d.target.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if creds.TLS == nil {
		err = checkPlaintext(conn)
	} else if err = tls.Client(conn, creds.TLS).HandshakeContext(ctx); err != nil {
		err = explainTLS(err)
	}
	if err != nil {
		return d.target.unreachable(err)
	}
	return nil
}

func (d *dumper) fetchOnce(ctx context.Context, creds xdspool.Credentials, cfg *dump.Config) error {
	ctx, conn, err := oracle.Dial(ctx, d.target.xds, creds)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = oracle.Fetch(ctx, oracle.Request{
		Conn: conn, Node: cfg.Node, Types: dump.Roots(), Clock: wallClock{}, Quiet: d.patience,
		Tap: func(r *discovery.DeltaDiscoveryResponse) {
			for _, res := range r.Resources {
				cfg.Resources.Add(r.TypeUrl, res.Name, res.Resource)
			}
			for _, name := range r.RemovedResources {
				delete(cfg.Resources[r.TypeUrl], name)
			}
		},
	})
	return err
}

// dumps is a run's dumper. It implements [runtime.Dumps].
type dumps struct {
	*dumper
	dir string // the run's folder
}

// Dump implements [runtime.Dumps].
func (d dumps) Dump(ctx context.Context, namespace, pod, folder string) error {
	if d.target.xds == "" {
		return &runtime.NoServiceError{Need: "ask istiod for a proxy's configuration", Hint: "name istiod's XDS port with --pilot-address"}
	}
	for sub, one := range d.each() {
		folder := path.Join(folder, sub)
		root, err := absolute(path.Join(d.dir, folder))
		if err != nil {
			return err
		}
		out, err := one.dump(ctx, namespace, pod, within{outputs{d.dir}, folder}, root)
		if err != nil {
			return err
		}
		for _, note := range out.notes {
			d.log.Warn("dump", "pod", namespace+"/"+pod, "istiod", one.target.xds, "note", note)
		}
	}
	return nil
}

// each yields a dumper that asks one istiod for each of the target's, with the name of its folder: "istiod-0" and so on,
// but "" for one that is alone.
func (d *dumper) each() iter.Seq2[string, *dumper] {
	return func(yield func(string, *dumper) bool) {
		addresses := d.target.addresses()
		for i, address := range addresses {
			one, at := *d, *d.target
			at.xds, one.target = address, &at
			name := ""
			if len(addresses) > 1 {
				name = fmt.Sprintf("istiod-%d", i)
			}
			if !yield(name, &one) {
				return
			}
		}
	}
}
