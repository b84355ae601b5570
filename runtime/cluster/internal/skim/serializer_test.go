package skim

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// encode is an object as an api-server sends it.
func encode(t testing.TB, obj runtime.Object) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(obj, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// typed sets the kind of an object.
func typed[T runtime.Object](kind string, obj T) T {
	obj.GetObjectKind().SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	return obj
}

// frame is an event as an api-server streams it.
func frame(t testing.TB, typ watch.EventType, obj runtime.Object) []byte {
	t.Helper()
	event := &metav1.WatchEvent{Type: string(typ), Object: runtime.RawExtension{Raw: encode(t, obj)}}
	raw, err := event.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw...)
}

// client is a client of an api-server that answers everything with body.
func client(t *testing.T, body []byte, suffix string) *corev1client.CoreV1Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", runtime.ContentTypeProtobuf+suffix)
		_, _ = w.Write(body) // a client that has gone away has what it wanted
	}))
	t.Cleanup(server.Close)
	version := corev1.SchemeGroupVersion
	c, err := rest.RESTClientFor(&rest.Config{Host: server.URL, APIPath: "/api", ContentConfig: rest.ContentConfig{
		GroupVersion: &version, ContentType: runtime.ContentTypeProtobuf, NegotiatedSerializer: Serializer(scheme.Codecs.WithoutConversion()),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return corev1client.New(c)
}

func testPod(name string) *corev1.Pod {
	return typed("Pod", &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: "7", Annotations: map[string]string{"a": "b"}},
		Spec:       corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "app", Command: []string{"run"}}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"},
	})
}

// TestWatch: what a watch brings is what it is, of pods as much as is in use: events, the bookmark that ends a streamed list,
// the error that a version is too old, objects of other kinds.
func TestWatch(t *testing.T) {
	t.Parallel()
	bookmark := typed("Pod", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		ResourceVersion: "9", Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
	}})
	expired := apierrors.NewResourceExpired("too old").ErrStatus
	service := typed("Service", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "svc"}, Spec: corev1.ServiceSpec{ClusterIP: "10.1.1.1"}})
	body := bytes.Join([][]byte{
		frame(t, watch.Added, testPod("p")), frame(t, watch.Bookmark, bookmark), frame(t, watch.Deleted, testPod("longer")),
		frame(t, watch.Modified, service), frame(t, watch.Error, typed("Status", &expired)),
	}, nil)
	w, err := client(t, body, ";stream=watch").Pods("").Watch(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	var got []watch.Event
	for e := range w.ResultChan() {
		got = append(got, e)
	}
	used := func(name string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, ResourceVersion: "7"},
			Spec:       corev1.PodSpec{NodeName: "n1"}, Status: corev1.PodStatus{Phase: corev1.PodRunning, PodIP: "10.0.0.1"},
		}
	}
	bookmark.TypeMeta, service.TypeMeta, expired.TypeMeta = metav1.TypeMeta{}, metav1.TypeMeta{}, metav1.TypeMeta{}
	if d := cmp.Diff([]watch.Event{
		{Type: watch.Added, Object: used("p")}, {Type: watch.Bookmark, Object: bookmark}, {Type: watch.Deleted, Object: used("longer")},
		{Type: watch.Modified, Object: service}, {Type: watch.Error, Object: &expired},
	}, got); d != "" {
		t.Error(d)
	}
	if !apierrors.IsResourceExpired(apierrors.FromObject(got[len(got)-1].Object)) {
		t.Error("a version that is too old is not recognized")
	}
}

// TestSinglePodsAreWhole: only watches and lists leave out what the cluster does not look at.
func TestSinglePodsAreWhole(t *testing.T) {
	t.Parallel()
	got, err := client(t, encode(t, testPod("p")), "").Pods("ns").Get(context.Background(), "p", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := testPod("p")
	want.TypeMeta = metav1.TypeMeta{}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	list := typed("PodList", &corev1.PodList{ListMeta: metav1.ListMeta{ResourceVersion: "8"}, Items: []corev1.Pod{*testPod("p")}})
	all, err := client(t, encode(t, list), "").Pods("").List(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(all.Items) != 1 || all.ResourceVersion != "8" || all.Items[0].Annotations != nil || all.Items[0].Status.PodIP != "10.0.0.1" {
		t.Errorf("list %+v", all)
	}
}

// TestBrokenWatch: an event that cannot be decoded ends the watch with an error.
func TestBrokenWatch(t *testing.T) {
	t.Parallel()
	event := &metav1.WatchEvent{Type: string(watch.Added), Object: runtime.RawExtension{Raw: encode(t, testPod("p"))[:60]}}
	raw, err := event.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	body := append(binary.BigEndian.AppendUint32(nil, uint32(len(raw))), raw...)
	w, err := client(t, body, ";stream=watch").Pods("").Watch(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	if e := <-w.ResultChan(); e.Type != watch.Error {
		t.Errorf("a broken event is taken for %+v", e)
	}
}

// BenchmarkDecode compares with decoding whole; the pod is as the store backend writes it.
func BenchmarkDecode(b *testing.B) {
	p := testPod("pod-1")
	p.Labels = map[string]string{"app": "app-1", "plscript.dev/run": "r1", "version": "v1", "istio.io/dataplane-mode": "ambient"}
	for _, typ := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.PodReady, corev1.ContainersReady, corev1.PodScheduled} {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: typ, Status: corev1.ConditionTrue})
	}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", Image: "image", ContainerID: "plscript://1", Ready: true}}
	raw := encode(b, p)
	for name, s := range map[string]runtime.NegotiatedSerializer{
		"whole": scheme.Codecs.WithoutConversion(), "skimmed": Serializer(scheme.Codecs.WithoutConversion()),
	} {
		info, _ := runtime.SerializerInfoForMediaType(s.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				obj, _, err := info.Serializer.Decode(raw, nil, nil)
				if err != nil {
					b.Fatal(err)
				}
				if name == "skimmed" {
					Free(obj.(*corev1.Pod))
				}
			}
		})
	}
}

// TestFreedPodsLeaveNothing: a pod that is decoded into the memory of another has nothing of it, and one that is still to be
// started is not given away.
func TestFreedPodsLeaveNothing(t *testing.T) {
	d := &pods{labels: labelSets{most: maxLabelSets}}
	s := &objects{pods: d}
	decode := func(p *corev1.Pod) *corev1.Pod {
		t.Helper()
		p.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
		obj, _, err := s.Decode(encode(t, p), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return obj.(*corev1.Pod)
	}
	f := filler{rand.New(rand.NewPCG(1, 2)), 6}
	for i := range 50 {
		rich := f.pod(i)
		rich.Status.Phase = corev1.PodRunning
		first := decode(rich)
		labels := first.Labels
		Free(first)
		bare := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "bare"}, Status: corev1.PodStatus{Phase: corev1.PodPending}}
		next := decode(bare)
		if diff := cmp.Diff(inUse(bare), next, relevant); diff != "" {
			t.Fatalf("after a pod that was freed (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(rich.Labels, labels, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("labels that were kept (-want +got):\n%s", diff)
		}
		Free(next)
		if next.Name != "bare" {
			t.Fatal("a pod that is still to be started was given away")
		}
	}
}
