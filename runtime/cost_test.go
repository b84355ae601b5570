package runtime

import (
	"strings"
	"testing"
)

func TestExpressionsThatTakeTooMuchTime(t *testing.T) {
	t.Parallel()
	l, err := NewLanguage()
	if err != nil {
		t.Fatal(err)
	}
	const pods, nodes = "kube.list('v1', 'Pod')", "kube.list('v1', 'Node')"
	for text, offset := range map[string]int{
		pods + ".all(p, " + nodes + ".exists(n, n.metadata.name == p.spec.nodeName))": 54,
		pods + ".all(p, kube.get('v1', 'Node', p.spec.nodeName).spec.unschedulable)":  23,
		pods + ".all(p, " + pods + ".all(q, " + pods + ".all(r, p != q && q != r)))":  83,
		"lists.range(10000).all(a, lists.range(10000).all(b, a + b > pods.ready))":    45,
		pods + ".map(p, p.metadata.name).distinct().size() == pods.ready":             23,
		"'aaaaaaaaaa'" + strings.Repeat(".replace('a', 'aaaaaaaaaa')", 8) + " == ''":  0,
	} {
		_, problems := l.Condition(text)
		if len(problems) != 1 || problems[0].Offset != offset || !strings.HasPrefix(problems[0].Message, "takes too much time: ") {
			t.Errorf("%s: %+v", text, problems)
			continue
		}
		if at := text[offset:]; offset > 0 && !strings.HasPrefix(at, "all(") && !strings.HasPrefix(at, "exists(") && !strings.HasPrefix(at, "map(") {
			t.Errorf("%s is placed at %q", text, at)
		}
	}
	for _, text := range []string{
		pods + ".all(p, p.status.phase == 'Running')",
		pods + ".exists(p, p.metadata.labels['app'].startsWith('web') || p.metadata.name.matches('^web-[0-9]+$'))",
		pods + ".filter(p, p.status.phase == 'Running').size() == pods.desired && " + nodes + ".size() > 3",
		pods + ".all(p, p.status.conditions.exists(c, c.type == 'Ready' && c.status == 'True'))",
		pods + ".all(p, p.spec.containers.all(c, c.env.exists(e, e.name == 'ISTIO_META_APP' && e.value != '')))",
		"kube.get('v1', 'Service', 'a', 'b').spec.ports.map(p, p.port).exists(p, p == 80)",
		"[xds.nacks, xds.disconnects, writer.errors].all(n, n == 0)",
		"lists.range(pods.ready).all(i, i < 5)",
		"pods.ready == pods.desired && elapsed > duration('1s')",
		"'%d of %d'.format([pods.ready, pods.desired]).size() > 0",
	} {
		if _, problems := l.Condition(text); problems != nil {
			t.Errorf("%s: %+v", text, problems)
		}
	}
}
