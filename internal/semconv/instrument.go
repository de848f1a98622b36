package semconv

import "go.opentelemetry.io/otel/metric"

// Instrument is the identity of one metric instrument: what a meter needs to make
// it.
type Instrument struct {
	Name        string
	Unit        string
	Description string
	// Buckets are the explicit boundaries of a histogram, in Unit.
	Buckets []float64
}

// Int64Counter makes the counter that i names.
func (i Instrument) Int64Counter(m metric.Meter) (metric.Int64Counter, error) {
	return m.Int64Counter(i.Name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description))
}

// Float64Histogram makes the histogram that i names, for durations.
func (i Instrument) Float64Histogram(m metric.Meter) (metric.Float64Histogram, error) {
	return m.Float64Histogram(i.Name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description),
		metric.WithExplicitBucketBoundaries(i.Buckets...))
}

// Int64Histogram makes the histogram that i names, for sizes and counts.
func (i Instrument) Int64Histogram(m metric.Meter) (metric.Int64Histogram, error) {
	return m.Int64Histogram(i.Name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description),
		metric.WithExplicitBucketBoundaries(i.Buckets...))
}

// Float64ObservableGauge makes the gauge that i names; observe is called at each
// collection.
func (i Instrument) Float64ObservableGauge(m metric.Meter, observe metric.Float64Callback) (metric.Float64ObservableGauge, error) {
	return m.Float64ObservableGauge(i.Name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description),
		metric.WithFloat64Callback(observe))
}

// Int64ObservableUpDownCounter makes the counter that i names, of things that come and go;
// observe is called at each collection.
func (i Instrument) Int64ObservableUpDownCounter(m metric.Meter, observe metric.Int64Callback) (metric.Int64ObservableUpDownCounter, error) {
	return m.Int64ObservableUpDownCounter(i.Name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description),
		metric.WithInt64Callback(observe))
}

// Int64ObservableCounter makes the counter that i names, of what somebody else counts;
// observe is called at each collection.
func (i Instrument) Int64ObservableCounter(m metric.Meter, observe metric.Int64Callback) (metric.Int64ObservableCounter, error) {
	return m.Int64ObservableCounter(i.Name, metric.WithUnit(i.Unit), metric.WithDescription(i.Description),
		metric.WithInt64Callback(observe))
}
