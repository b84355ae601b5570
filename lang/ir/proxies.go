package ir

import (
	"encoding/json"
	"strconv"
)

// Proxies is how the run's XDS clients behave. The zero value is a current Istio's default, but for Workloads.
type Proxies struct {
	Node                 string `json:"node"`                 // "first" or "always"
	Protocol             string `json:"protocol"`             // "delta" or "sotw"
	Extensions           string `json:"extensions"`           // "none" or "envoy"
	StreamsPerConnection int    `json:"streamsPerConnection"` // 1 is a connection of its own
	ConnectRate          Rate   `json:"connectRate"`          // to each istiod; no stages leave it to the pool
	Nack                 []Nack `json:"nack"`
	OnDemand             bool   `json:"onDemand"`  // ztunnels
	Workloads            bool   `json:"workloads"` // waypoints subscribe to all
	Pin                  Pin    `json:"pin"`
}

// Nack is with which probability responses of a type are refused.
type Nack struct {
	Type        string  `json:"type"` // "eds"
	Probability float64 `json:"probability"`
}

// Pin names the only istiod to connect to: by its address, or by its number among the target's. The zero value names none.
type Pin struct {
	Address string
	Number  int  // from 0
	Set     bool // by number
}

// UnmarshalJSON takes a number, an address or null.
func (p *Pin) UnmarshalJSON(b []byte) error {
	*p = Pin{}
	if string(b) == "null" {
		return nil
	}
	if n, err := strconv.Atoi(string(b)); err == nil {
		p.Number, p.Set = n, true
		return nil
	}
	return json.Unmarshal(b, &p.Address)
}

// MarshalJSON is the inverse.
func (p Pin) MarshalJSON() ([]byte, error) {
	switch {
	case p.Set:
		return json.Marshal(p.Number)
	case p.Address == "":
		return []byte("null"), nil
	}
	return json.Marshal(p.Address)
}
