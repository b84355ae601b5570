package cluster

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"time"
)

// Kubelet says how the fake kubelets behave. The zero value has pods ready at once and for good, and gone at once.
type Kubelet struct {
	// Seed decides, with its name, how a pod fares: the same in every run.
	Seed int64
	// StartP50 and StartP99 are how long pods take until they are ready, as median and 99th percentile of a log-normal
	// distribution; every pod takes StartP50 if StartP99 is not above it.
	StartP50, StartP99 time.Duration
	// FlapEvery is how long a pod is ready on average before it ceases to be for FlapDown; 0 means for good.
	FlapEvery, FlapDown time.Duration
	// StopP50 and StopP99 are the same as StartP50 and StartP99 of how long the containers of a deleted pod take to stop, if
	// its grace period lets them.
	StopP50, StopP99 time.Duration
}

// z99 is how many standard deviations the 99th percentile of a normal distribution lies above its median.
const z99 = 2.3263478740408408

// startDelay draws how long a pod takes to start.
func (k Kubelet) startDelay(r *rand.Rand) time.Duration { return delay(r, k.StartP50, k.StartP99) }

// stopDelay draws how long a pod takes to stop.
func (k Kubelet) stopDelay(r *rand.Rand) time.Duration { return delay(r, k.StopP50, k.StopP99) }

// delay draws from the log-normal distribution with these percentiles. It is never more than ten times the 99th, so that a
// run of any size ends.
func delay(r *rand.Rand, p50, p99 time.Duration) time.Duration {
	if p99 <= p50 || p50 <= 0 {
		return p50
	}
	sigma := math.Log(float64(p99)/float64(p50)) / z99
	d := float64(p50) * math.Exp(sigma*r.NormFloat64())
	return time.Duration(min(d, 10*float64(p99)))
}

// untilFlap draws how long a pod stays ready: independently of how long it has been.
func (k Kubelet) untilFlap(r *rand.Rand) time.Duration {
	return time.Duration(min(float64(k.FlapEvery)*r.ExpFloat64(), 100*float64(k.FlapEvery)))
}

// generator is the pod's own, one for each use.
func (k Kubelet) generator(use, key string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(use + "\x00" + key))
	return rand.New(rand.NewPCG(uint64(k.Seed), h.Sum64()))
}
