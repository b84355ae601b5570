package build

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// WebhookHost stands where istiod's host and port belong in the webhooks' URLs, because the objects are rendered once and the
// port is new in each sandbox. It is of a domain that never exists (RFC 2606).
const WebhookHost = "istiod.invalid"

// istioObjects returns the objects of the cache entry, or has the user's istioctl render its own.
func (b *builder) istioObjects(ctx context.Context) ([]byte, error) {
	if b.Istioctl == "" {
		content, err := os.ReadFile(b.path(b.Profile.file()))
		if err != nil {
			return nil, fmt.Errorf("cache: %w", err)
		}
		return content, nil
	}
	dir, err := os.MkdirTemp("", "plscript-istioctl-")
	if err != nil {
		return nil, fmt.Errorf("rendering Istio's objects: %w", err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, b.Profile.file())
	if err := b.renderIstio(ctx, b.Istioctl, b.Profile, out); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// renderIstio has istioctl render what "istioctl install" with a profile would apply, but for the ingress gateway that comes
// with the default one: nothing here would run it, and sidecars would be told of its Service. The charts are inside istioctl.
func (b *builder) renderIstio(ctx context.Context, istioctl string, profile Profile, out string) error {
	r := b.runner
	r.env = append(r.env[:len(r.env):len(r.env)], "KUBECONFIG="+os.DevNull) // no cluster has a say in it
	rendered, err := r.run(ctx, nil, istioctl, "manifest", "generate",
		"--set", "profile="+string(profile),
		"--set", "components.ingressGateways[0].name=istio-ingressgateway",
		"--set", "components.ingressGateways[0].enabled=false",
		"--set", "values.istiodRemote.injectionURL=https://"+WebhookHost+"/inject",
		"--set", "values.base.validationURL=https://"+WebhookHost+"/validate")
	if err != nil {
		return fmt.Errorf("rendering Istio's objects: %w", err)
	}
	return writeObjects(out, rendered)
}

// collectGatewayCRDs joins the Gateway API's standard channel into one file.
func (b *builder) collectGatewayCRDs(ctx context.Context, out string) error {
	dir, err := b.moduleDir(ctx, moduleGatewayAPI)
	if err != nil {
		return fmt.Errorf("fetching the Gateway API: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "config", "crd", "standard", "*.yaml"))
	if err != nil {
		return fmt.Errorf("collecting the Gateway API's CRDs: %w", err)
	}
	var documents [][]byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("collecting the Gateway API's CRDs: %w", err)
		}
		documents = append(documents, content)
	}
	return writeObjects(out, bytes.Join(documents, []byte("\n---\n")))
}

// writeObjects writes the objects of a YAML stream as a JSON array: read at every start, JSON takes a tenth of the time.
func writeObjects(out string, stream []byte) error {
	var objects []json.RawMessage
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096)
	for {
		var object json.RawMessage
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading rendered objects: %w", err)
		}
		if len(object) > 0 && !bytes.Equal(object, []byte("null")) {
			objects = append(objects, object)
		}
	}
	if len(objects) == 0 {
		return errors.New("no objects were rendered")
	}
	content, err := json.Marshal(objects)
	if err != nil {
		return fmt.Errorf("writing rendered objects: %w", err)
	}
	return os.WriteFile(out, content, 0o600)
}
