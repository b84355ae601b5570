package apiwriter

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// BenchmarkStoredPods is what one pod of a load costs the writer, with a journal and without an etcd.
func BenchmarkStoredPods(b *testing.B) {
	w, _ := storeWriter(b, newMemory(b), false)
	journal, err := os.Create(filepath.Join(b.TempDir(), "journal.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	defer journal.Close()
	w.journal.out = journal
	labels := map[string]string{
		"app": "app-0", "service.istio.io/canonical-name": "app-0", "service.istio.io/canonical-revision": "latest",
		"security.istio.io/tlsMode": "istio",
	}
	no, zero := false, int64(0)
	var wg sync.WaitGroup
	b.ReportAllocs()
	for i := range b.N {
		wg.Add(1)
		err := w.Submit(b.Context(), runtime.Op{Verb: runtime.VerbCreate, Priority: runtime.PriorityBulk, Object: &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "ns", Name: "app-0-" + strconv.Itoa(i), Labels: labels, Annotations: map[string]string{runtime.AnnotationIP: "10.1.2.3"},
			},
			Spec: corev1.PodSpec{
				NodeName: "n", ServiceAccountName: "default", AutomountServiceAccountToken: &no, TerminationGracePeriodSeconds: &zero,
				Containers:  []corev1.Container{{Name: "app", Image: "plscript.dev/app", ImagePullPolicy: corev1.PullNever}},
				Tolerations: []corev1.Toleration{{Key: runtime.LabelClass, Operator: corev1.TolerationOpExists}},
			},
		}, Done: func(r runtime.Result) {
			if r.Err != nil {
				b.Error(r.Err)
			}
			wg.Done()
		}})
		if err != nil {
			b.Fatal(err)
		}
	}
	wg.Wait()
}
