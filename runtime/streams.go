package runtime

import (
	"fmt"
	"slices"
)

// Client is a planned stream that has no pod behind it.
type Client struct {
	Class           ProxyClass
	Namespace, Name string
}

// AddClient plans a stream that has no pod behind it. Its namespace and name have to be its own.
func (m *Mesh) AddClient(c Client) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := c.Namespace + "/" + c.Name
	if m.clientKeys[key] {
		return fmt.Errorf("the scenario opens a stream %s twice: give one of the steps another `name`", key)
	}
	if m.clientKeys == nil {
		m.clientKeys = map[string]bool{}
	}
	m.clientKeys[key] = true
	m.clients = append(m.clients, c)
	return nil
}

// Clients returns the planned streams that have no pod behind them, in the order they were planned.
func (m *Mesh) Clients() []Client {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.clients)
}
