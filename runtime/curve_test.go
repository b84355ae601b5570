package runtime

import (
	"errors"
	"testing"
	"time"
)

// TestCurve: a curve stays bounded, keeps its first point and the order, and has its points evenly over the whole.
func TestCurve(t *testing.T) {
	t.Parallel()
	s := &Stages{}
	const n = 12345
	for i := range n {
		s.RecordAt(StageProbeXDS, i+1, time.Duration(i+1)*time.Millisecond, nil)
	}
	s.RecordAt(StageProbeXDS, n+1, 0, errors.New("lost"))
	out := s.Outcomes()
	if len(out) != 1 || out[0].Count != n || out[0].Errors != 1 {
		t.Fatalf("outcomes %+v", out)
	}
	points := out[0].Curve
	if len(points) > maxCurve || len(points) < maxCurve/2-1 || points[0].At != 1 {
		t.Fatalf("%d points, the first %+v", len(points), points[0])
	}
	step := points[1].At - points[0].At
	for i, p := range points {
		if p.Took != time.Duration(p.At)*time.Millisecond {
			t.Fatalf("point %+v", p)
		}
		if i > 0 && p.At-points[i-1].At != step {
			t.Fatalf("from %d to %d, and elsewhere %d apart", points[i-1].At, p.At, step)
		}
	}
	if last := points[len(points)-1].At; n-last > step {
		t.Errorf("the last point is at %d of %d", last, n)
	}
}
