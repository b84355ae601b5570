package cluster

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// identity is what is left of an object that is gone.
type identity struct {
	namespace, name string
	uid             types.UID
}

// mirror follows the objects of one kind. It keeps nothing of them but who they are: what is in use of them is in the
// cluster's state. It is a [cache.ReflectorStore], and called by one goroutine.
type mirror[T metav1.Object] struct {
	seen   func(T)
	gone   func(identity)
	done   func(T) // told when nobody needs an object of an event any more; may be nil
	known  map[types.NamespacedName]types.UID
	synced chan struct{} // closed after the first list
	listed bool
}

func newMirror[T metav1.Object](seen func(T), gone func(identity)) *mirror[T] {
	return &mirror[T]{seen: seen, gone: gone, known: map[types.NamespacedName]types.UID{}, synced: make(chan struct{})}
}

// Add implements [cache.ReflectorStore].
func (m *mirror[T]) Add(obj any) error {
	o, err := objectOf[T](obj)
	if err != nil {
		return err
	}
	key := keyOf(o)
	// A name that has changed its uid without a word was deleted and made anew.
	if uid, ok := m.known[key]; ok && uid != o.GetUID() {
		m.gone(identity{key.Namespace, key.Name, uid})
	}
	m.known[key] = o.GetUID()
	m.seen(o)
	m.used(o)
	return nil
}

// Update implements [cache.ReflectorStore].
func (m *mirror[T]) Update(obj any) error { return m.Add(obj) }

// Delete implements [cache.ReflectorStore].
func (m *mirror[T]) Delete(obj any) error {
	o, err := objectOf[T](obj)
	if err != nil {
		return err
	}
	key := keyOf(o)
	delete(m.known, key)
	m.gone(identity{key.Namespace, key.Name, o.GetUID()})
	m.used(o)
	return nil
}

// used ends the use of an object that came by itself; those of a list are one piece of memory.
func (m *mirror[T]) used(o T) {
	if m.done != nil {
		m.done(o)
	}
}

// Replace implements [cache.ReflectorStore]: what is not in the list any more is gone, before anything that is new is seen.
func (m *mirror[T]) Replace(list []any, _ string) error {
	objects := make([]T, 0, len(list))
	before := m.known
	m.known = make(map[types.NamespacedName]types.UID, len(list))
	for _, obj := range list {
		o, err := objectOf[T](obj)
		if err != nil {
			m.known = before
			return err
		}
		objects = append(objects, o)
		m.known[keyOf(o)] = o.GetUID()
	}
	for key, uid := range before {
		if m.known[key] != uid {
			m.gone(identity{key.Namespace, key.Name, uid})
		}
	}
	for _, o := range objects {
		m.seen(o)
	}
	if !m.listed {
		m.listed = true
		close(m.synced)
	}
	return nil
}

// Resync implements [cache.ReflectorStore].
func (m *mirror[T]) Resync() error { return nil }

func objectOf[T metav1.Object](obj any) (T, error) {
	o, ok := obj.(T)
	if !ok {
		return o, fmt.Errorf("the api-server sent a %T in the place of a %T", obj, o)
	}
	return o, nil
}

func keyOf(o metav1.Object) types.NamespacedName {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}
}
