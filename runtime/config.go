package runtime

import (
	"slices"

	"github.com/plscript/plscript/runtime/expr"
)

// ObjectKey names an API object.
type ObjectKey struct {
	APIVersion, Kind, Namespace, Name string
}

// Config is an object that a step has written from a template, and can be rendered anew from it.
type Config struct {
	Key      ObjectKey
	Template *expr.Template
	Scene    Scene // what it was rendered for; Generation counts the renderings after the first

	gone bool
}

// Applied notes that an object is written from a template, and reports whether it had been before.
func (m *Mesh) Applied(key ObjectKey, t *expr.Template, s Scene) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.applied[key]; c != nil {
		c.Template, c.Scene = t, s
		return true
	}
	c := &Config{Key: key, Template: t, Scene: s}
	m.applied[key] = c
	m.configs = append(m.configs, c)
	return false
}

// Unapply notes that an object is deleted.
func (m *Mesh) Unapply(key ObjectKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.applied[key]; c != nil {
		c.gone = true
		delete(m.applied, key)
		m.configs = slices.DeleteFunc(m.configs, func(x *Config) bool { return x == c })
	}
}

// Configs returns the objects written from templates, in the order they were planned.
func (m *Mesh) Configs() []*Config {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.configs)
}

// Renew plans that the object is rendered again, and returns what for; false if it has been deleted since.
func (m *Mesh) Renew(c *Config) (Scene, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.gone {
		return Scene{}, false
	}
	c.Scene.Generation++
	return c.Scene, true
}

// unapplyNamespace forgets the objects of a namespace that goes.
func (m *Mesh) unapplyNamespace(name string) {
	m.configs = slices.DeleteFunc(m.configs, func(c *Config) bool {
		if c.Key.Namespace != name {
			return false
		}
		c.gone = true
		delete(m.applied, c.Key)
		return true
	})
}
