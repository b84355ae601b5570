package istiod

import (
	"context"
	"fmt"
	"sync"

	"github.com/plscript/plscript/runtime"
)

// Fleet is the istiods that serve one mesh together, each of them some of its proxies.
type Fleet []*Client

// Syncz lists the proxies of all istiods. It fails if one of them does not answer, for its proxies are not known then.
func (f Fleet) Syncz(ctx context.Context) ([]Proxy, error) {
	var all []Proxy
	for _, c := range f {
		proxies, err := c.Syncz(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.base, err)
		}
		all = append(all, proxies...)
	}
	return all, nil
}

// FleetMeter sums what a [Meter] says of each istiod. There is no data while that of one of them is missing.
type FleetMeter []*Meter

// NewMeter returns the meter of a fleet; cfg.Client is not looked at.
func (f Fleet) NewMeter(cfg MeterConfig) (FleetMeter, error) {
	var all FleetMeter
	for _, c := range f {
		cfg.Client = c
		m, err := NewMeter(cfg)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Run scrapes each istiod as [Meter.Run] does, until ctx is done.
func (f FleetMeter) Run(ctx context.Context) {
	var each sync.WaitGroup
	defer each.Wait()
	for _, m := range f {
		each.Go(func() { m.Run(ctx) })
	}
}

// Read implements [runtime.Meter].
func (f FleetMeter) Read(r runtime.Readings) {
	var cpu float64
	var rss int64
	for _, m := range f {
		one := runtime.Readings{}
		m.Read(one)
		c, hasCPU := one["istiod.cpu"].(float64)
		s, hasRSS := one["istiod.rss"].(int64)
		if !hasCPU || !hasRSS {
			return
		}
		cpu, rss = cpu+c, rss+s
	}
	if len(f) > 0 {
		r["istiod.cpu"], r["istiod.rss"] = cpu, rss
	}
}

// Metric implements [runtime.Metrics]. A metric that only some istiods have is the sum of those.
func (f FleetMeter) Metric(name string, labels map[string]string) (sum float64, ok bool) {
	for _, m := range f {
		if v, has := m.Metric(name, labels); has {
			sum, ok = sum+v, true
		}
	}
	return sum, ok
}
