package sandbox

import (
	"encoding/json"
	"fmt"
	"net/url"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/plscript/plscript/sandbox/internal/build"
)

// workloadKinds are rendered but not applied: there is nothing to run them.
var workloadKinds = map[string]bool{
	"Deployment": true, "DaemonSet": true, "HorizontalPodAutoscaler": true, "PodDisruptionBudget": true,
}

// rendered is what istioctl made, sorted.
type rendered struct {
	apply  []*unstructured.Unstructured
	istiod *unstructured.Unstructured // the Deployment, for its arguments and environment
}

func parseObjects(list []byte) ([]*unstructured.Unstructured, error) {
	var contents []map[string]any
	if err := json.Unmarshal(list, &contents); err != nil {
		return nil, fmt.Errorf("reading rendered objects: %w", err)
	}
	objects := make([]*unstructured.Unstructured, len(contents))
	for i, content := range contents {
		objects[i] = &unstructured.Unstructured{Object: content}
	}
	return objects, nil
}

// sortRendered splits Istio's objects, and puts istiod's address into the webhooks.
func sortRendered(objects []*unstructured.Unstructured, webhookPort int) (rendered, error) {
	var r rendered
	for _, object := range objects {
		if object.GetKind() == "Deployment" && object.GetName() == istiodAccount {
			r.istiod = object
		}
		if workloadKinds[object.GetKind()] {
			continue
		}
		if err := pointWebhooks(object, localhost(webhookPort)); err != nil {
			return rendered{}, err
		}
		r.apply = append(r.apply, object)
	}
	if r.istiod == nil {
		return rendered{}, fmt.Errorf("among the rendered objects is no Deployment %s", istiodAccount)
	}
	return r, nil
}

// pointWebhooks replaces the host in the URLs of a webhook configuration; other objects have none.
func pointWebhooks(object *unstructured.Unstructured, host string) error {
	webhooks, _, err := unstructured.NestedSlice(object.Object, "webhooks")
	if err != nil || webhooks == nil {
		return err
	}
	for _, webhook := range webhooks {
		fields, ok := webhook.(map[string]any)
		if !ok {
			return fmt.Errorf("%s %s: unexpected webhook", object.GetKind(), object.GetName())
		}
		raw, found, err := unstructured.NestedString(fields, "clientConfig", "url")
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if !found { // it names a Service, whose address leads nowhere
			return fmt.Errorf("%s %s: a webhook has no URL", object.GetKind(), object.GetName())
		}
		target, err := url.Parse(raw)
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if target.Host == build.WebhookHost {
			target.Host = host
		}
		if err := unstructured.SetNestedField(fields, target.String(), "clientConfig", "url"); err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return unstructured.SetNestedSlice(object.Object, webhooks, "webhooks")
}
