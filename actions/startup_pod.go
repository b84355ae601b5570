package actions

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/kinds"
)

// maxPodFile bounds a file with a Pod, in bytes: the api-server takes no larger request.
const maxPodFile = 3 << 20

// readPod reads a file that holds one Pod.
func readPod(r io.Reader) (*corev1.Pod, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPodFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxPodFile {
		return nil, fmt.Errorf("larger than %d MB", maxPodFile>>20)
	}
	object, err := onlyDocument(string(text))
	if err != nil {
		return nil, err
	}
	if object["kind"] != "Pod" || object["apiVersion"] != "v1" {
		return nil, fmt.Errorf("holds %v %v, not a Pod of apiVersion v1", object["apiVersion"], object["kind"])
	}
	meta, _ := object["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
	}
	if meta["name"] == nil {
		generate, _ := meta["generateName"].(string)
		meta["name"] = objectName(generate)
		object["metadata"] = meta
	}
	if problems := kinds.Check(object); len(problems) > 0 {
		return nil, fmt.Errorf("%s: %s", problems[0].Path, problems[0].Message)
	}
	pod := &corev1.Pod{}
	if err := k8sruntime.DefaultUnstructuredConverter.FromUnstructured(object, pod); err != nil {
		return nil, err
	}
	if len(pod.Spec.Containers) == 0 {
		return nil, errors.New("the Pod has no container")
	}
	return pod, nil
}

// onlyDocument reads YAML, or JSON, of one document.
func onlyDocument(text string) (map[string]any, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	var found map[string]any
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		var object map[string]any
		if err := yaml.UnmarshalStrict(doc, &object); err != nil {
			return nil, err
		}
		if len(object) == 0 {
			continue
		}
		if found != nil {
			return nil, errors.New("holds several objects: want one Pod")
		}
		found = object
	}
	if found == nil {
		return nil, errors.New("is empty")
	}
	return found, nil
}

// builtinPod listens on a TCP port, which its readiness probe connects to every second.
func builtinPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "startup"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "app", Image: "alpine:3",
			Command: []string{"nc", "-lk", "-p", "12345", "-e", "echo", "hi"},
			Ports:   []corev1.ContainerPort{{Name: "tcp", ContainerPort: 12345}},
			ReadinessProbe: &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(12345)}},
				PeriodSeconds: 1,
			},
		}}},
	}
}

// name is that of the pod of a number. Two steps, and two scenarios, have different ones.
func (a *podStartup) name(s *ir.Step, i int) string {
	base := "startup"
	if a.pod != nil {
		base = a.pod.Name
	}
	_, place, _ := strings.Cut(s.Path, "[")
	place = strings.Join(strings.FieldsFunc(place, func(r rune) bool { return r < '0' || r > '9' }), "-")
	return objectName(base) + "-" + place + "-" + strconv.Itoa(i)
}

// objectName makes a name for an object of s: a DNS label with room for a number.
func objectName(s string) string {
	s = strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(s))
	s = strings.Trim(s[:min(len(s), 40)], "-")
	return cmp.Or(s, "startup")
}

// build makes the pod of a number.
func (s *startups) build(i int) *corev1.Pod {
	p := s.pod
	if p == nil {
		p = builtinPod()
	}
	p = p.DeepCopy()
	p.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	p.ObjectMeta = metav1.ObjectMeta{Namespace: s.Namespace, Name: s.name(s.env.Step, i), Labels: maps.Clone(p.Labels), Annotations: p.Annotations}
	p.Status = corev1.PodStatus{}
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.Labels[runtime.LabelRole] = runtime.RoleStartup
	if s.Inject != nil {
		p.Labels["sidecar.istio.io/inject"] = strconv.FormatBool(*s.Inject)
	}
	// No time to stop in, and an account without the controller that gives pods one.
	none := int64(0)
	p.Spec.TerminationGracePeriodSeconds = &none
	p.Spec.ServiceAccountName = cmp.Or(p.Spec.ServiceAccountName, "default")
	if s.node != nil {
		p.Spec.NodeName = s.node.Name
	}
	return p
}
