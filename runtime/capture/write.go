package capture

import (
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// Write writes the capture as YAML, a document for each object, in the order in which they can be created.
func (c *Capture) Write(w io.Writer) error {
	for _, i := range c.items {
		content, err := i.content()
		if err != nil {
			return err
		}
		text, err := yaml.Marshal(content)
		if err != nil {
			return fmt.Errorf("encode %s: %w", i.ref(), err)
		}
		if _, err := fmt.Fprintf(w, "---\n%s", text); err != nil {
			return err
		}
	}
	return nil
}

// content is the object as JSON holds it, without the fields that are empty.
func (i item) content() (map[string]any, error) {
	if u, ok := i.object.(*unstructured.Unstructured); ok {
		return k8sruntime.DeepCopyJSON(u.Object), nil
	}
	out, err := k8sruntime.DefaultUnstructuredConverter.ToUnstructured(i.object)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", i.ref(), err)
	}
	out["apiVersion"], out["kind"] = i.kind.gvk().GroupVersion().String(), i.kind.name
	if meta, ok := out["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
	}
	if status, ok := out["status"].(map[string]any); ok && i.kind.name == "Node" {
		out["status"] = map[string]any{"addresses": status["addresses"]}
	}
	prune(out)
	return out, nil
}

// prune drops the fields that hold nothing. In labels and the like nothing is a value.
func prune(m map[string]any) {
	for key, v := range m {
		if labelled[key] || key == "annotations" || key == "data" {
			continue
		}
		switch v := v.(type) {
		case map[string]any:
			if prune(v); len(v) == 0 {
				delete(m, key)
			}
		case []any:
			for _, x := range v {
				if entry, ok := x.(map[string]any); ok {
					prune(entry)
				}
			}
		case nil:
			delete(m, key)
		case string:
			if v == "" {
				delete(m, key)
			}
		}
	}
}
