package actions

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/plscript/plscript/runtime"
)

// clusterNamespaces are in every cluster with Istio before a run begins, so that no run can make them.
var clusterNamespaces = []string{corev1.NamespaceDefault, corev1.NamespaceNodeLease, metav1.NamespacePublic, metav1.NamespaceSystem, istioSystem}

// maxLabel is how long a label of DNS may be, and the value of a Kubernetes label.
const maxLabel = 63

// checkNames finds names and labels that the api-server would refuse, and names that two objects would have.
func (a *createNamespaces) checkNames(c *runtime.Checker) {
	name := cmp.Or(a.Name, "mesh")
	if a.Count == 1 && slices.Contains(clusterNamespaces, name) {
		c.Errorf("name", "every cluster has a namespace %q already, and what a run did not make it leaves alone", name)
	}
	checkNumbered(c, "name", name, a.Count)
	checkLabels(c, "labels", a.Labels)
	replicas := map[string]int{} // of the apps so far, by name
	for i, app := range a.Apps {
		path := fmt.Sprintf("apps[%d]", i)
		if replicas[app.Name] > 0 {
			c.Errorf(path+".name", "another app is called %q already", app.Name)
		}
		replicas[app.Name] = app.Replicas
		checkNumbered(c, path+".name", app.Name, app.Replicas) // the name is a label of the pods and of DNS, whatever the type
		checkLabels(c, path+".labels", app.Labels)
		checkLabels(c, path+".serviceLabels", app.ServiceLabels)
	}
	for i, app := range a.Apps {
		if other, is := copyOf(app, replicas); is {
			c.Errorf(fmt.Sprintf("apps[%d].name", i), "%q is also what a copy of the app %q is called, which has %d `replicas`", app.Name, other, replicas[other])
		}
	}
}

// copyOf returns the app with replicas of which one has the name of this app. Copies of two apps never meet: without their
// number they are called what the apps are.
func copyOf(app appSpec, replicas map[string]int) (other string, is bool) {
	i := strings.LastIndexByte(app.Name, '-')
	if i < 0 || app.Replicas > 1 {
		return "", false
	}
	n, err := strconv.Atoi(app.Name[i+1:])
	other = app.Name[:i]
	return other, err == nil && n < replicas[other] && numbered(other, n, replicas[other]) == app.Name
}

// checkNumbered finds a name that its number makes longer than a label. lang has checked the name itself.
func checkNumbered(c *runtime.Checker, field, name string, of int) {
	last := numbered(name, of-1, of)
	if len(name) <= maxLabel && len(last) > maxLabel {
		c.Errorf(field, "with a number, like %q, it is %d characters long, of at most %d", last[len(name):], len(last), maxLabel)
	}
}

// checkLabels finds labels that the api-server would refuse.
func checkLabels(c *runtime.Checker, field string, labels map[string]string) {
	set := make(map[string]any, len(labels))
	for key, value := range labels {
		set[key] = value
	}
	object := map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "any", "labels": set}}
	c.Object(object, func(path string) string { return field + strings.TrimPrefix(path, "metadata.labels") })
}
