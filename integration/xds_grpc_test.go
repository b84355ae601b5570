package integration

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/xds"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// dialed is whom a gRPC client has tried to reach. Nobody is there: what counts is that it knew of them.
type dialed struct {
	mu    sync.Mutex
	hosts map[string]bool
}

var errNobody = errors.New("nobody is there")

func (d *dialed) dial(_ context.Context, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hosts[host] = true
	return nil, errNobody
}

func (d *dialed) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.hosts))
}

// reach dials a service of the mesh with gRPC's own XDS client, as a proxyless application does, until it has tried
// exactly the hosts in want.
func reach(t *testing.T, istiod, target string, want []string) {
	t.Helper()
	bootstrap := fmt.Sprintf(`{
		"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		"node": {"id": "sidecar~10.250.0.1~client.grpc~grpc.svc.cluster.local",
			"metadata": {"GENERATOR": "grpc", "NAMESPACE": "grpc", "CLUSTER_ID": "Kubernetes"}}}`, istiod)
	resolver, err := xds.NewXDSResolverWithConfigForTesting([]byte(bootstrap))
	if err != nil {
		t.Fatal(err)
	}
	d := &dialed{hosts: map[string]bool{}}
	conn, err := grpc.NewClient("xds:///"+target, grpc.WithResolvers(resolver), grpc.WithContextDialer(d.dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Connect()
	await(t, fmt.Sprintf("%s to be %v", target, want), func() bool {
		conn.Connect() // picks them one after the other
		return slices.Equal(d.all(), want)
	})
}

// TestProxylessClientAgrees has an XDS client that shares nothing with plscript's find the pods of the simulated mesh,
// before and after they are replaced.
func TestProxylessClientAgrees(t *testing.T) {
	box := sharedSandbox(t)
	seen := map[string]bool{}
	look := func(c *kubernetes.Clientset) {
		pods, err := c.CoreV1().Pods("grpc").List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
		if err != nil {
			t.Fatal(err)
		}
		var ips []string
		for _, p := range pods.Items {
			ips = append(ips, p.Status.PodIP)
			seen[p.Status.PodIP] = true
		}
		slices.Sort(ips)
		if len(ips) != 3 {
			t.Fatalf("pods %v", ips)
		}
		reach(t, box.XDSAddress(), "web.grpc.svc.cluster.local:80", ips)
	}
	mesh := `
name: "grpc"
maxLateness: "1m" // how fast this machine is, is not what is tested
phases: [
	{name: "mesh", steps: [{action: "createNamespaces", count: 1, name: "grpc", apps: [{name: "web", type: "sidecar", inject: "none", pods: 3}]}]},
	{name: "settle", steps: [{action: "wait", until: "xds.synced == 3 && endpoints.ready == 3"}]},
	CHURN
	HELD,
]
`
	churn := `{name: "churn", steps: [
		{action: "churnPods", rate: "3/s", duration: "2s"},
		{action: "wait", until: "changes.pending == 0 && endpoints.ready == 3 && pods.ready == 3"},
	]},`
	for _, c := range []string{"", churn} {
		whileHeld(t, box, strings.ReplaceAll(mesh, "CHURN", c), look)
	}
	if len(seen) < 5 {
		t.Errorf("churn has left the pods where they were: %v", slices.Sorted(maps.Keys(seen)))
	}
	checkEmpty(t, box)
}
