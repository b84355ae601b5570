package runtime

import "time"

// CurvePoint is one duration and what it is shown against: how many routes there were, for one.
type CurvePoint struct {
	At   int
	Took time.Duration
}

// maxCurve is how many points a curve keeps at most.
const maxCurve = 1000

// curve is a series of points, thinned evenly as it grows: of those recorded it keeps every stride-th.
type curve struct {
	points []CurvePoint
	stride int // 0 means 1
	seen   int
}

func (c *curve) add(p CurvePoint) {
	c.stride = max(c.stride, 1)
	c.seen++
	if (c.seen-1)%c.stride != 0 {
		return
	}
	if c.points = append(c.points, p); len(c.points) < maxCurve {
		return
	}
	half := c.points[:0]
	for i := 0; i < len(c.points); i += 2 {
		half = append(half, c.points[i])
	}
	c.points, c.stride = half, 2*c.stride
}

// RecordAt is Record for one of a stage that is one point of a curve: at is what its duration is shown against. Failed
// ones are no points.
func (s *Stages) RecordAt(stage Stage, at int, took time.Duration, err error) {
	if s == nil {
		return
	}
	s.Record(stage, took, err)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[stage].curve.add(CurvePoint{at, took})
}
