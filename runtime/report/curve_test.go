package report

import (
	"strings"
	"testing"
	"time"
)

// TestCurves: each stage with a curve is a line of the page, on axes that hold all of them.
func TestCurves(t *testing.T) {
	t.Parallel()
	point := func(at int, ms int64) CurvePoint {
		return CurvePoint{at, Seconds(time.Duration(ms) * time.Millisecond)}
	}
	r := Build(passedInput())
	r.Stages = []Stage{
		{Stage: "certificates"},
		{Stage: "probe.xds", Curve: []CurvePoint{point(1, 100), point(500, 200), point(1000, 400)}},
		{Stage: "probe.http", Curve: []CurvePoint{point(1000, 800)}},
	}
	c := newCurves(r.Stages)
	if len(c.Lines) != 2 || len(c.Lines[0].Points) != 3 || c.Lines[0].Class == c.Lines[1].Class {
		t.Fatalf("%+v", c.Lines)
	}
	for _, l := range c.Lines {
		for _, p := range l.Points {
			if p.X < c.Left || p.X > c.Width || p.Y < 0 || p.Y > c.Height-curveBottom {
				t.Errorf("%s: %+v is off the chart", l.Stage, p)
			}
		}
	}
	xds := c.Lines[0].Points
	if xds[0].X >= xds[1].X || xds[0].Y <= xds[1].Y || xds[2].Y <= c.Lines[1].Points[0].Y {
		t.Errorf("more is not to the right, or longer not higher: %+v, %+v", xds, c.Lines[1].Points)
	}
	if len(c.Up) < 3 || len(c.Along) < 3 {
		t.Errorf("axes %+v %+v", c.Up, c.Along)
	}
	var page strings.Builder
	if err := r.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(page.String(), "<circle"); n != 4 {
		t.Errorf("%d dots on the page", n)
	}
	r.Stages = r.Stages[:1]
	if c := newCurves(r.Stages); len(c.Lines) != 0 {
		t.Errorf("lines of nothing: %+v", c.Lines)
	}
}
