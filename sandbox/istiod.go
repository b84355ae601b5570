package sandbox

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/sandbox/internal/process"
)

const (
	istiodAccount = "istiod" // the name of its ServiceAccount and of its Deployment
	// injectorConfig is the MutatingWebhookConfiguration that istiod keeps up to date.
	injectorConfig = "istio-sidecar-injector"
	// tokenLifetime of istiod's ServiceAccount token. Nothing renews it, as a kubelet would, but a restart of istiod.
	tokenLifetime = 30 * 24 * time.Hour
	// leastLifetime is what an api-server must grant for the sandbox to be of use.
	leastLifetime = 24 * time.Hour
	// webhookTimeout is how long istiod may take to write its authority into the injection webhook after it is ready.
	webhookTimeout = 30 * time.Second
)

// istiodName is the process name of the nth istiod.
func istiodName(n int) string {
	if n == 0 {
		return nameIstiod
	}
	return nameIstiod + "-" + strconv.Itoa(n)
}

// istiodSpecs says how to start each istiod: as its chart would, but for what a pod would be given, the addresses, and the user's
// environment.
func (i Info) istiodSpecs(binary string, deployment *unstructured.Unstructured, extra map[string]string) ([]process.Spec, error) {
	args, env, err := chartSettings(deployment)
	if err != nil {
		return nil, err
	}
	args = slices.DeleteFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--monitoringAddr") })
	var specs []process.Spec
	for n, ports := range i.Ports.istiods() {
		specs = append(specs, i.istiodSpec(n, ports, process.Spec{Path: binary, Args: slices.Clone(args)}, maps.Clone(env), extra))
	}
	return specs, nil
}

// istiodSpec completes the nth istiod's spec, which has the chart's arguments, and its environment.
func (i Info) istiodSpec(n int, ports IstiodPorts, spec process.Spec, env, extra map[string]string) process.Spec {
	spec.Name = istiodName(n)
	spec.Args = append(spec.Args,
		"--kubeconfig="+i.istiodKubeconfig(),
		"--grpcAddr="+loopback(ports.XDS),
		"--secureGRPCAddr="+loopback(ports.SecureXDS),
		"--httpsAddr="+loopback(ports.Webhook),
		"--httpAddr="+loopback(ports.HTTP),
		"--monitoringAddr="+loopback(ports.Monitoring),
		"--ctrlz_port=0",
	)
	// What the chart takes from the pod, and the name by which the api-server dials the webhooks.
	maps.Copy(env, map[string]string{
		"POD_NAME":                      spec.Name + "-sandbox", // by which istiods elect their leaders
		"POD_NAMESPACE":                 istioNamespace,
		"SERVICE_ACCOUNT":               istiodAccount,
		"INJECTION_WEBHOOK_CONFIG_NAME": injectorConfig,
		"ISTIOD_CUSTOM_HOST":            "localhost",
		"TOKEN_AUDIENCES":               istioAudience,
	})
	delete(env, "KUBECONFIG") // where the chart would mount another cluster's
	maps.Copy(env, extra)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		spec.Env = append(spec.Env, name+"="+env[name])
	}
	return spec
}

// chartSettings reads the arguments and the literal environment of the Deployment's only container.
func chartSettings(deployment *unstructured.Unstructured) (args []string, env map[string]string, err error) {
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return nil, nil, fmt.Errorf("reading istiod's Deployment: %w", err)
	}
	if len(containers) != 1 {
		return nil, nil, fmt.Errorf("istiod's Deployment has %d containers, not 1", len(containers))
	}
	container, ok := containers[0].(map[string]any)
	if !ok {
		return nil, nil, fmt.Errorf("istiod's Deployment has an unexpected container")
	}
	args, _, err = unstructured.NestedStringSlice(container, "args")
	if err != nil {
		return nil, nil, fmt.Errorf("reading istiod's arguments: %w", err)
	}
	variables, _, err := unstructured.NestedSlice(container, "env")
	if err != nil {
		return nil, nil, fmt.Errorf("reading istiod's environment: %w", err)
	}
	env = map[string]string{}
	for _, variable := range variables {
		fields, ok := variable.(map[string]any)
		if !ok {
			continue
		}
		name, _ := fields["name"].(string)
		if value, literal := fields["value"].(string); literal && name != "" {
			env[name] = value
		}
	}
	return args, env, nil
}

func (i Info) istiodKubeconfig() string { return filepath.Join(i.Dir, "istiod.kubeconfig") }

// writeIstiodCredentials gives istiod a kubeconfig with a token of its own ServiceAccount, so that it may do what its ClusterRole says and no more.
func (s *Sandbox) writeIstiodCredentials(ctx context.Context, c *cluster) error {
	seconds := int64(tokenLifetime / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	granted, err := c.client.CoreV1().ServiceAccounts(istioNamespace).CreateToken(ctx, istiodAccount, request, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("requesting istiod's token: %w", err)
	}
	if expires := granted.Status.ExpirationTimestamp.Time; time.Until(expires) < leastLifetime {
		return fmt.Errorf("istiod's token would expire at %v", expires)
	}
	ca, err := os.ReadFile(filepath.Join(s.Dir, "ca.crt"))
	if err != nil {
		return fmt.Errorf("reading the api-server's authority: %w", err)
	}
	return writeKubeconfig(s.istiodKubeconfig(), s.APIServerURL(), ca, identity{token: granted.Status.Token})
}

// releaseOf takes the version out of what istiod says of itself: version, commit and state of the tree, joined by dashes
// (istio.io/istio/pkg/version, BuildInfo.String).
func releaseOf(full string) string {
	parts := strings.Split(full, "-")
	return strings.Join(parts[:max(1, len(parts)-2)], "-")
}
