package report

import (
	"math"
	"time"
)

// curves is a chart of the stages that have a curve: a dot for each point.
type curves struct {
	Width, Height, Left float64
	Lines               []curveLine
	Up, Along           []mark // of the axes: latency, and what it is shown against
}

type curveLine struct {
	Stage, Class string
	Points       []dot
}

type dot struct{ X, Y float64 }

// mark is a label on an axis, at a distance along it.
type mark struct {
	At    float64
	Label string
}

// The geometry of the chart, in SVG user units.
const (
	curveHeight = 260.0
	curveLeft   = 60.0 // room for the labels of the latency
	curveBottom = 24.0 // and for those below
	curveTop    = 10.0
)

// newCurves draws the curves of the stages over common axes; without one there are no lines.
func newCurves(stages []Stage) curves {
	c := curves{Width: chartWidth, Height: curveHeight, Left: curveLeft}
	most, longest := 0, 0.0
	for _, s := range stages {
		for _, p := range s.Curve {
			most, longest = max(most, p.At), max(longest, time.Duration(p.Took).Seconds())
		}
	}
	if most == 0 || longest == 0 {
		return c
	}
	x := func(at float64) float64 { return tenth(curveLeft + at/float64(most)*(chartWidth-curveLeft-4)) }
	y := func(s float64) float64 {
		return tenth(curveHeight - curveBottom - s/longest*(curveHeight-curveBottom-curveTop))
	}
	for _, s := range stages {
		if len(s.Curve) == 0 {
			continue
		}
		line := curveLine{Stage: s.Stage, Class: "curve" + string(rune('0'+len(c.Lines)%3))}
		for _, p := range s.Curve {
			line.Points = append(line.Points, dot{x(float64(p.At)), y(time.Duration(p.Took).Seconds())})
		}
		c.Lines = append(c.Lines, line)
	}
	every := niceStep(longest / 4)
	for s := 0.0; s <= longest; s += every {
		c.Up = append(c.Up, mark{y(s), duration(time.Duration(s * float64(time.Second)))})
	}
	step := math.Max(1, niceStep(float64(most)/8))
	for at := 0.0; at <= float64(most)*0.97; at += step { // a label at the very end would be cut off
		c.Along = append(c.Along, mark{x(at), count(int64(at))})
	}
	return c
}
