package registry

import (
	"fmt"
	"slices"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Where webhook configurations are stored.
const (
	MutatingWebhooks   = root + "mutatingwebhookconfigurations/"
	ValidatingWebhooks = root + "validatingwebhookconfigurations/"
)

// Webhooks are those that the api-server calls about objects. The zero value has none.
type Webhooks struct{ hooks []webhook }

type webhook struct {
	rules             []admissionv1.RuleWithOperations
	namespace, object labels.Selector
}

// AddMutating adds the webhooks of a stored MutatingWebhookConfiguration.
func (w *Webhooks) AddMutating(raw []byte) error {
	var cfg admissionv1.MutatingWebhookConfiguration
	if err := Decode(raw, &cfg); err != nil {
		return err
	}
	for _, h := range cfg.Webhooks {
		if err := w.add(h.Rules, h.NamespaceSelector, h.ObjectSelector); err != nil {
			return fmt.Errorf("webhook %s: %w", h.Name, err)
		}
	}
	return nil
}

// AddValidating adds the webhooks of a stored ValidatingWebhookConfiguration.
func (w *Webhooks) AddValidating(raw []byte) error {
	var cfg admissionv1.ValidatingWebhookConfiguration
	if err := Decode(raw, &cfg); err != nil {
		return err
	}
	for _, h := range cfg.Webhooks {
		if err := w.add(h.Rules, h.NamespaceSelector, h.ObjectSelector); err != nil {
			return fmt.Errorf("webhook %s: %w", h.Name, err)
		}
	}
	return nil
}

func (w *Webhooks) add(rules []admissionv1.RuleWithOperations, namespace, object *metav1.LabelSelector) error {
	h := webhook{rules: rules, namespace: labels.Everything(), object: labels.Everything()}
	var err error
	if namespace != nil { // the api-server sets both, but only when it reads
		if h.namespace, err = metav1.LabelSelectorAsSelector(namespace); err != nil {
			return err
		}
	}
	if object != nil {
		if h.object, err = metav1.LabelSelectorAsSelector(object); err != nil {
			return err
		}
	}
	w.hooks = append(w.hooks, h)
	return nil
}

// See reports whether any of them may be asked about the operation on an object with these labels in a namespace with
// those. Match conditions are taken to hold. namespace is nil for objects that are in none, except that a Namespace has
// its own labels.
func (w *Webhooks) See(k Kind, op admissionv1.OperationType, namespace, object map[string]string) bool {
	return slices.ContainsFunc(w.hooks, func(h webhook) bool {
		scoped := !k.Namespaced && k.GVK != Namespace.GVK || h.namespace.Matches(labels.Set(namespace))
		return scoped && h.object.Matches(labels.Set(object)) && slices.ContainsFunc(h.rules, func(r admissionv1.RuleWithOperations) bool {
			return has(r.Operations, op, admissionv1.OperationAll) && has(r.APIGroups, k.GVK.Group, "*") &&
				(has(r.Resources, k.Resource, "*") || slices.Contains(r.Resources, "*/*"))
		})
	})
}

func has[T comparable](in []T, v, any T) bool {
	return slices.Contains(in, v) || slices.Contains(in, any)
}
