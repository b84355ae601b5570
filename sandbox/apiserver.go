package sandbox

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/plscript/plscript/sandbox/internal/pki"
	"github.com/plscript/plscript/sandbox/internal/process"
)

const (
	// serviceCIDR is kubeadm's default: a million addresses.
	serviceCIDR = "10.96.0.0/12"
	// apiServiceIP is the first of them, which the api-server takes for the Service default/kubernetes.
	apiServiceIP = "10.96.0.1"
	// tokenIssuer names the api-server in ServiceAccount tokens; also kubeadm's default.
	tokenIssuer = "https://kubernetes.default.svc.cluster.local"
	// istioAudience is the audience of the tokens that proxies show istiod.
	istioAudience = "istio-ca"
)

// writeCredentials makes the sandbox's keys and certificates, and the administrator's kubeconfig.
func (s *Sandbox) writeCredentials() error {
	ca, err := pki.NewCA(time.Now())
	if err != nil {
		return err
	}
	server, err := ca.Server("kube-apiserver",
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		[]net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(apiServiceIP)})
	if err != nil {
		return err
	}
	admin, err := ca.Client("plscript-admin", "system:masters")
	if err != nil {
		return err
	}
	private, public, err := pki.SigningKey()
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"ca.crt": ca.Cert, "apiserver.crt": server.Cert, "apiserver.key": server.Key, "sa.key": private, "sa.pub": public,
	} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), content, 0o600); err != nil {
			return fmt.Errorf("writing credentials: %w", err)
		}
	}
	return writeKubeconfig(s.Kubeconfig(), s.APIServerURL(), ca.Cert, identity{certificate: admin})
}

// startAPIServer starts the kube-apiserver and returns when it is ready for everything.
func (s *Sandbox) startAPIServer(ctx context.Context, binary string) error {
	file := func(name string) string { return filepath.Join(s.Dir, name) }
	p, err := s.run(process.Spec{
		Name: nameAPIServer,
		Path: binary,
		Args: []string{
			"--etcd-servers=" + s.EtcdEndpoint(),
			"--bind-address=127.0.0.1",
			"--secure-port=" + strconv.Itoa(s.Ports.APIServer),
			"--advertise-address=127.0.0.1",
			"--endpoint-reconciler-type=none", // the API allows no endpoints on the loopback interface
			"--tls-cert-file=" + file("apiserver.crt"),
			"--tls-private-key-file=" + file("apiserver.key"),
			"--client-ca-file=" + file("ca.crt"),
			"--anonymous-auth=false",
			"--authorization-mode=RBAC",
			"--service-account-issuer=" + tokenIssuer,
			"--service-account-key-file=" + file("sa.pub"),
			"--service-account-signing-key-file=" + file("sa.key"),
			"--api-audiences=" + tokenIssuer + "," + istioAudience,
			"--service-cluster-ip-range=" + serviceCIDR,
			// A pod may name any ServiceAccount: checking needs what a controller-manager would have made.
			"--disable-admission-plugins=ServiceAccount",
			"--allow-privileged=true",
			// The api-server is not what is tested: it must never be the one that holds back.
			"--enable-priority-and-fairness=false",
			"--max-requests-inflight=0",
			"--max-mutating-requests-inflight=0",
			// What it would spend on every event to answer lists of past versions, on comparing its cache with etcd, and on
			// making answers smaller that never leave the machine.
			"--feature-gates=ListFromCacheSnapshot=false,DetectCacheInconsistency=false,APIResponseCompression=false",
			"--http2-max-streams-per-connection=1000",
		},
		Env: []string{"GOGC=400"}, // a third less CPU per write, for memory that a sandbox has to spare
	})
	if err != nil {
		return err
	}
	config, err := s.RESTConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("kube-apiserver client: %w", err)
	}
	err = await(ctx, p, func(ctx context.Context) error {
		return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	})
	if err != nil {
		return err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return fmt.Errorf("kube-apiserver version: %w", err)
	}
	s.KubernetesVersion = version.GitVersion
	return nil
}
