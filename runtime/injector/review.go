package injector

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/plscript/plscript/runtime"
)

// review is a question to the webhook.
type review struct {
	uid  types.UID
	pod  *corev1.Pod
	raw  []byte // the pod as it is shown, which the patch is for
	body []byte
}

// creator is who the pods seem to come from, as most do.
var creator = authenticationv1.UserInfo{
	Username: "system:serviceaccount:kube-system:replicaset-controller",
	Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"},
}

// newReview puts the question: what of the creation of this pod?
func newReview(pod *corev1.Pod) (*review, error) {
	shown := *pod
	shown.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	raw, err := json.Marshal(&shown)
	if err != nil {
		return nil, fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	var (
		kind     = metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}
		resource = metav1.GroupVersionResource{Version: "v1", Resource: "pods"}
		no       = false
	)
	r := &review{uid: uuid.NewUUID(), pod: pod, raw: raw}
	r.body, err = json.Marshal(&admissionv1.AdmissionReview{
		// istiod refuses a review that does not say what it is (Istio, pkg/kube/inject, serveInject).
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: r.uid, Kind: kind, Resource: resource, RequestKind: &kind, RequestResource: &resource,
			Namespace: pod.Namespace, Name: pod.Name, Operation: admissionv1.Create, UserInfo: creator, DryRun: &no,
			Object: k8sruntime.RawExtension{Raw: raw},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("admission review: %w", err)
	}
	return r, nil
}

// patched is the pod after the answer.
func (r *review) patched(answer []byte) (*corev1.Pod, error) {
	var got admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &got); err != nil {
		return nil, fmt.Errorf("istiod's answer: %w", err)
	}
	a := got.Response
	switch {
	case a == nil:
		return nil, errors.New("istiod's answer holds no response")
	case !a.Allowed: // istiod says so with status 200
		return nil, fmt.Errorf("istiod does not allow the pod: %s", refusal(a.Result))
	case a.UID != r.uid:
		return nil, fmt.Errorf("istiod answered review %q, not %q", a.UID, r.uid)
	case len(a.Patch) == 0:
		return nil, errors.New("istiod left the pod as it is: its labels, annotations or namespace rule injection out")
	case a.PatchType == nil || *a.PatchType != admissionv1.PatchTypeJSONPatch:
		return nil, errors.New("istiod's patch is not of type JSONPatch")
	}
	patch, err := jsonpatch.DecodePatch(a.Patch)
	if err != nil {
		return nil, fmt.Errorf("istiod's patch: %w", err)
	}
	raw, err := patch.Apply(r.raw)
	if err != nil {
		return nil, fmt.Errorf("istiod's patch does not fit the pod: %w", err)
	}
	out := &corev1.Pod{}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("the patched pod: %w", err)
	}
	out.TypeMeta = r.pod.TypeMeta
	if out.Name != r.pod.Name || out.Namespace != r.pod.Namespace {
		return nil, fmt.Errorf("istiod's patch makes another pod of it: %s/%s", out.Namespace, out.Name)
	}
	if !runtime.Injected(out) {
		return nil, errors.New("istiod's patch adds no proxy to the pod")
	}
	return out, nil
}

// refusal is the reason that a status gives.
func refusal(s *metav1.Status) string {
	if s == nil {
		return "it gives no reason"
	}
	return cmp.Or(s.Message, string(s.Reason), "it gives no reason")
}
