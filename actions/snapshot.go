package actions

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/plscript/plscript/lang/ir"
	"github.com/plscript/plscript/runtime"
)

//go:embed snapshot.cue
var snapshotCUE string

type snapshot struct {
	Pages []string `json:"pages"`
}

// snapshotPages are kept unless a step says which.
var snapshotPages = []string{"syncz", "connections", "registryz", "endpointShardz", "configz", "push_status", "mesh", "cachez?sizes=true"}

// acting are the pages and queries that make istiod do something (Istio pilot/pkg/xds/debug.go): a snapshot only looks.
var acting = map[string]string{"force_disconnect": "", "adsz": "push", "cachez": "clear"}

func (a *snapshot) Check(_ context.Context, c *runtime.Checker) {
	for i, p := range a.Pages {
		name, query, _ := strings.Cut(p, "?")
		key, ok := acting[name]
		if values, err := url.ParseQuery(query); ok && (key == "" || err != nil || values.Has(key)) {
			c.Errorf(fmt.Sprintf("pages[%d]", i), "%s makes istiod do something: a snapshot only looks", p)
		}
	}
}

func (a *snapshot) Plan(_ context.Context, p *runtime.Planner) error {
	p.Says("istiod's metrics and debug pages into " + a.folder(p.Step))
	return nil
}

func (a *snapshot) folder(s *ir.Step) string { return "snapshots/" + stepFile(s) }

func (a *snapshot) Run(ctx context.Context, env *runtime.Env) error {
	return eachIstiod(env, func(pages runtime.Pages, istiod string) error {
		return a.keep(ctx, env, pages, path.Join(a.folder(env.Step), istiod))
	})
}

// keep puts what one istiod says into a folder.
func (a *snapshot) keep(ctx context.Context, env *runtime.Env, of runtime.Pages, folder string) error {
	body, err := of.Page(ctx, "/metrics")
	if err != nil {
		return fmt.Errorf("istiod's metrics: %w", err)
	}
	if err := writeRunFile(env.Files, folder+"/metrics.txt", body); err != nil {
		return err
	}
	pages := a.Pages
	if pages == nil {
		pages = snapshotPages
	}
	for i, p := range pages {
		body, err := of.Page(ctx, "/debug/"+p)
		switch {
		case err == nil:
		case a.Pages != nil || ctx.Err() != nil:
			return fmt.Errorf("istiod's debug page %s: %w", p, err)
		default:
			env.Log.Warn("a debug page is left out of the snapshot", "page", p, "error", err)
			continue
		}
		if err := writeRunFile(env.Files, folder+"/"+pageFile(pages, i, body), body); err != nil {
			return err
		}
	}
	return nil
}

// pageFile names the file of a page. Two pages of one name differ by their queries, and so by their numbers.
func pageFile(pages []string, i int, body []byte) string {
	name, _, _ := strings.Cut(pages[i], "?")
	for j, p := range pages {
		if other, _, _ := strings.Cut(p, "?"); j != i && strings.EqualFold(other, name) {
			name = fmt.Sprintf("%s-%d", name, i)
			break
		}
	}
	if b := bytes.TrimSpace(body); len(b) > 0 && (b[0] == '{' || b[0] == '[') {
		return name + ".json"
	}
	return name + ".txt"
}
