package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/plscript/plscript/runtime"
	"github.com/plscript/plscript/runtime/apiwriter"
	"github.com/plscript/plscript/runtime/runtimetest"
)

const (
	writesARound = 1500 // long enough to outlast what starts with the first request
	rounds       = 7
)

// BenchmarkAPIBackend creates pods through the api-server by turns in a bare client-go loop and through the writer, with
// as many requests in flight, and reports how the writer does: 1 is the loop's throughput. The journal is a file.
func BenchmarkAPIBackend(b *testing.B) {
	_, cfg := open(b)
	const id = "bench-api"
	defer clean(b, cfg, id)
	bare := bareClient(b, cfg)
	w := fileWriter(b, cfg, id)
	defer func() {
		if err := w.Close(); err != nil {
			b.Error(err)
		}
	}()
	for b.Loop() {
		var ratios, bareCPU, ownCPU, perSecond []float64
		for round := range rounds + 1 {
			ns := fmt.Sprintf("bench-%d", round)
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns, Labels: map[string]string{runtime.LabelRun: id}}}
			if _, err := bare.CoreV1().Namespaces().Create(b.Context(), namespace, metav1.CreateOptions{}); err != nil {
				b.Fatal(err)
			}
			loop := timed(func() { bareLoop(b, bare, ns, id) })
			own := timed(func() { writerLoop(b, w, ns) })
			if round == 0 {
				continue // connections are made and kinds are read
			}
			ratios = append(ratios, loop.wall.Seconds()/own.wall.Seconds())
			perSecond = append(perSecond, writesARound/own.wall.Seconds())
			bareCPU = append(bareCPU, loop.perWrite())
			ownCPU = append(ownCPU, own.perWrite())
		}
		b.ReportMetric(median(ratios), "ratio")
		b.ReportMetric(median(perSecond), "writes/s")
		b.ReportMetric(median(bareCPU), "bare-cpu-us/write")
		b.ReportMetric(median(ownCPU), "own-cpu-us/write")
	}
}

func bareClient(b *testing.B, cfg *rest.Config) kubernetes.Interface {
	c := rest.CopyConfig(cfg)
	c.QPS = -1
	c.ContentType = k8sruntime.ContentTypeProtobuf
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		b.Fatal(err)
	}
	return client
}

func fileWriter(b *testing.B, cfg *rest.Config, id string) *apiwriter.Writer {
	journal, err := os.Create(filepath.Join(b.TempDir(), "journal.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = journal.Close() })
	w, err := apiwriter.New(apiwriter.Config{
		REST: cfg, RunID: id, Scenario: "bench", Journal: journal, Clock: runtimetest.Clock{}, Notify: &runtime.Signal{},
	})
	if err != nil {
		b.Fatal(err)
	}
	return w
}

// cost is what one loop took.
type cost struct{ wall, cpu time.Duration }

func (c cost) perWrite() float64 { return float64(c.cpu.Microseconds()) / writesARound }

func timed(f func()) cost {
	began, cpu := time.Now(), processCPU()
	f()
	return cost{time.Since(began), processCPU() - cpu}
}

// processCPU is what this process has used.
func processCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// benchPod is a pod of an ordinary size, bound to no node that exists.
func benchPod(ns, name string) *corev1.Pod {
	no := false
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{
			"app": "web", "service.istio.io/canonical-name": "web", "service.istio.io/canonical-revision": "latest",
		}},
		Spec: corev1.PodSpec{
			NodeName: "bench-node", ServiceAccountName: "default", AutomountServiceAccountToken: &no,
			Containers: []corev1.Container{{Name: "app", Image: "plscript.dev/app", ImagePullPolicy: corev1.PullNever}},
		},
	}
}

func bareLoop(b *testing.B, client kubernetes.Interface, ns, id string) {
	todo := make(chan int, writesARound)
	for i := range writesARound {
		todo <- i
	}
	close(todo)
	var wg sync.WaitGroup
	for range apiwriter.DefaultConcurrency {
		wg.Go(func() {
			for i := range todo {
				pod := benchPod(ns, fmt.Sprintf("bare-%d", i))
				pod.Labels[runtime.LabelRun] = id
				if _, err := client.CoreV1().Pods(ns).Create(b.Context(), pod, metav1.CreateOptions{}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func writerLoop(b *testing.B, w *apiwriter.Writer, ns string) {
	var wg sync.WaitGroup
	for i := range writesARound {
		wg.Add(1)
		op := runtime.Op{Verb: runtime.VerbCreate, Priority: runtime.PriorityBulk, Object: benchPod(ns, fmt.Sprintf("own-%d", i)), Done: func(r runtime.Result) {
			if r.Err != nil {
				b.Error(r.Err)
			}
			wg.Done()
		}}
		if err := w.Submit(b.Context(), op); err != nil {
			b.Fatal(err)
		}
	}
	wg.Wait()
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// BenchmarkOpenLoop plans 200 arrivals a second for a minute, of writes that take no time, and reports how far from
// their time they start.
func BenchmarkOpenLoop(b *testing.B) {
	const phases = `
	{name: "mesh", steps: [{action: "createNamespaces", count: 10, apps: [{name: "app", replicas: 5, pods: 10}]}]},
	{name: "churn", steps: [{action: "churnPods", rate: "200/s", duration: "1m"}]}`
	if testing.Short() {
		b.Skip("takes a minute")
	}
	for b.Loop() {
		out := compiled(b, phases).Run(b.Context(), runtime.Parts{
			RunID: "open-loop", Clock: runtimetest.Clock{}, Writer: &runtimetest.Writer{}, Proxies: noProxies{}, Changes: noChanges{},
			Signal: &runtime.Signal{},
		})
		if out.Exit != runtime.ExitPass {
			b.Fatal(out.Exit, out.Err, out.Invalid)
		}
		a := out.Arrivals
		b.ReportMetric(float64(a.Planned), "planned")
		b.ReportMetric(float64(a.Started), "started")
		b.ReportMetric(float64(a.Dropped), "dropped")
		b.ReportMetric(a.LatenessP50.Seconds()*1e3, "p50-ms")
		b.ReportMetric(a.LatenessP99.Seconds()*1e3, "p99-ms")
		b.ReportMetric(a.LatenessMax.Seconds()*1e3, "max-ms")
	}
}
