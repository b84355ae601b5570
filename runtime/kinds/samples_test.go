package kinds

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"testing"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// samples reads the valid objects of testdata, by kind; Gateway API's Gateway is "Gateway API Gateway".
func samples(t testing.TB) map[string]map[string]any {
	t.Helper()
	out := map[string]map[string]any{}
	for _, file := range []string{"testdata/istio.yaml", "testdata/kubernetes.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, doc := range bytes.Split(text, []byte("\n---\n")) {
			converted, err := yaml.YAMLToJSON(doc)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			obj := decoded(t, converted)
			name := obj["kind"].(string)
			if name == "Gateway" && obj["apiVersion"] == "gateway.networking.k8s.io/v1" {
				name = "Gateway API Gateway"
			}
			out[name] = obj
		}
	}
	return out
}

// decoded reads JSON with integers as int64.
func decoded(t testing.TB, text []byte) map[string]any {
	t.Helper()
	var obj map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func clone(t testing.TB, obj map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	return decoded(t, text)
}

var steps = regexp.MustCompile(`\["([^"]+)"\]|\[(\d+)\]|([^.\[\]]+)`)

// at calls change with the struct or list that holds the last step of path, and that step.
func at(t testing.TB, obj map[string]any, path string, inStruct func(map[string]any, string), inList func([]any, int)) {
	t.Helper()
	var v any = obj
	all := steps.FindAllStringSubmatch(path, -1)
	for n, step := range all {
		last := n == len(all)-1
		if step[2] != "" {
			i, _ := strconv.Atoi(step[2])
			list, ok := v.([]any)
			if !ok || i >= len(list) {
				t.Fatalf("the sample has no %s", path)
			}
			if last {
				inList(list, i)
				return
			}
			v = list[i]
			continue
		}
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("the sample has no %s", path)
		}
		if last {
			inStruct(m, step[1]+step[3])
			return
		}
		v = m[step[1]+step[3]]
	}
}

// set changes or adds the value at path.
func set(t testing.TB, obj map[string]any, path string, v any) {
	t.Helper()
	at(t, obj, path, func(m map[string]any, name string) { m[name] = v }, func(list []any, i int) { list[i] = v })
}

// rename gives the field at path another name.
func rename(t testing.TB, obj map[string]any, path, to string) {
	t.Helper()
	at(t, obj, path, func(m map[string]any, name string) {
		if _, ok := m[name]; !ok {
			t.Fatalf("the sample has no %s", path)
		}
		m[to] = m[name]
		delete(m, name)
	}, nil)
}
