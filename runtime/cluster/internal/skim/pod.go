package skim

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// The numbers of some fields (k8s.io/api/core/v1 and k8s.io/apimachinery/pkg/apis/meta/v1, generated.proto).
const (
	podMetadata, podSpec, podStatus  = 1, 2, 3
	metaLabels, metaManagedFields    = 11, 17
	statusPhase                      = 1
	conditionType                    = 1
	portName                         = 1
	listMetadata, listItems          = 1, 2
	containerPorts, containerRestart = 6, 24
)

// What is in use of a pod that was started: who it is, how its Services find it, and whether it is ready where.
var started = &message{fields: []*message{
	podMetadata: {fields: []*message{
		1:  whole, // name
		3:  whole, // namespace
		5:  whole, // uid
		6:  whole, // resourceVersion
		9:  whole, // deletionTimestamp
		10: whole, // deletionGracePeriodSeconds
	}},
	podSpec: {fields: []*message{
		2:  {filled: true, fields: []*message{containerPorts: named}},                          // containers
		10: whole,                                                                              // nodeName
		11: whole,                                                                              // hostNetwork
		16: whole,                                                                              // hostname
		17: whole,                                                                              // subdomain
		20: {filled: true, fields: []*message{containerPorts: named, containerRestart: whole}}, // initContainers
	}},
	podStatus: {fields: []*message{
		statusPhase: whole,
		2:           {only: isReady, fields: []*message{conditionType: whole, 2: whole}}, // conditions, with their status
		6:           whole,                                                               // podIP
	}},
}}

// What is in use of one that is still to be started: its metadata and status, which are written back, and of each container
// what the status will say of it.
var pending = &message{fields: []*message{
	podMetadata: {rest: true, fields: []*message{metaLabels: without, metaManagedFields: without}},
	podSpec: {fields: []*message{
		2:  container,
		10: whole,
		11: whole,
		16: whole,
		17: whole,
		20: container,
	}},
	podStatus: whole,
}}

var (
	container = &message{fields: []*message{1: whole, 2: whole, containerPorts: named, containerRestart: whole}} // with name and image
	named     = &message{rest: true, only: func(port []byte) bool { return len(find(port, portName)) > 0 }}
	labelsOf  = &message{fields: []*message{podMetadata: {filled: true, fields: []*message{metaLabels: whole}}}}
	listHead  = &message{fields: []*message{listMetadata: whole}}
)

// isPending reports whether a pod in that phase is still to be started.
func isPending(phase corev1.PodPhase) bool { return phase == "" || phase == corev1.PodPending }

func isReady(condition []byte) bool {
	return string(find(condition, conditionType)) == string(corev1.PodReady)
}

// pods decodes pods. It is safe for concurrent use.
type pods struct {
	mu      sync.Mutex
	scratch []byte
	labels  labelSets
}

// decode fills p with what is in use of the encoded pod.
func (d *pods) decode(in []byte, p *corev1.Pod) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	keep := started
	if isPending(corev1.PodPhase(find(in, podStatus, statusPhase))) {
		keep = pending
	}
	var err error
	if d.scratch, err = keep.appendKept(d.scratch[:0], in); err != nil {
		return err
	}
	if err := p.Unmarshal(d.scratch); err != nil {
		return err
	}
	if d.scratch, err = labelsOf.appendKept(d.scratch[:0], in); err != nil {
		return err
	}
	p.Labels, err = d.labels.decode(d.scratch)
	return err
}

// decodeList fills list as [pods.decode] does each of its items.
func (d *pods) decodeList(in []byte, list *corev1.PodList) error {
	head, err := listHead.appendKept(nil, in)
	if err != nil {
		return err
	}
	if err := list.Unmarshal(head); err != nil {
		return err
	}
	for len(in) > 0 {
		f, err := next(in)
		if err != nil {
			return err
		}
		if in = in[len(f.all):]; f.num != listItems {
			continue
		}
		list.Items = append(list.Items, corev1.Pod{})
		if err := d.decode(f.body, &list.Items[len(list.Items)-1]); err != nil {
			return err
		}
	}
	return nil
}

// maxLabelSets is how many sets are remembered for the pods of a cluster, which share a few for each app.
const maxLabelSets = 1 << 16

// labelSets finds one map for all pods with the same labels, by how they are encoded: sorted by their keys. A map for each
// pod would be a quarter of what is kept of it, half of what the garbage collector has to look at, and most of the decoding.
type labelSets struct {
	most int // sets that are remembered
	sets map[string]map[string]string
}

// decode returns the labels of an encoded pod of which there is nothing else. Nobody may change them.
func (s *labelSets) decode(in []byte) (map[string]string, error) {
	if len(in) == 0 {
		return nil, nil
	}
	if known, ok := s.sets[string(in)]; ok {
		return known, nil
	}
	var p corev1.Pod
	if err := p.Unmarshal(in); err != nil {
		return nil, err
	}
	if s.sets == nil || len(s.sets) >= s.most {
		s.sets = map[string]map[string]string{}
	}
	s.sets[string(in)] = p.Labels
	return p.Labels, nil
}
