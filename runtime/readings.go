package runtime

// Readings are the values of the measures at one moment, by path ("xds.synced"). A path that is absent has no data.
// Values are int64, float64, bool, string or time.Duration as the measure's declaration says ([Measures]).
type Readings map[string]any

// Meter adds its part to the readings. It must be quick and safe to call at any time: conditions are evaluated whenever
// something changes.
type Meter interface {
	Read(Readings)
}

// Notifier lets a meter say that its readings may have changed; it must not block and may merge calls.
type Notifier interface {
	Notify()
}
