// Package istiod reads what istiod says about itself: its debug pages, its metrics and its version.
//
// It is the second opinion of a run. The pool counts what plscript's own streams saw; this package asks the server
// which proxies it serves, which pushes it believes to be acknowledged, and what they cost it.
package istiod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// maxBody bounds one answer, in bytes: syncz takes about 1 KB a proxy, so this is far above any real mesh and still
// keeps a wrong address from filling the memory.
const maxBody = 256 << 20

// ErrTooLarge is returned for an answer above 256 MB.
var ErrTooLarge = errors.New("answer larger than 256 MB")

// StatusError is an answer other than 200.
type StatusError struct {
	URL  string
	Code int
	Body string // its beginning
}

func (e *StatusError) Error() string {
	msg := fmt.Sprintf("GET %s: %d %s", e.URL, e.Code, http.StatusText(e.Code))
	if e.Body != "" {
		msg += ": " + e.Body
	}
	if e.Code == http.StatusUnauthorized || e.Code == http.StatusForbidden {
		msg += " (istiod answers debug requests without a token from loopback only)"
	}
	return msg
}

// Client reads one istiod's HTTP pages. It is safe for concurrent use.
type Client struct {
	base string
	http *http.Client
}

// NewClient returns a client of the istiod at address ("127.0.0.1:15014"), which is its monitoring or its HTTP address:
// both serve the debug pages, only the first serves metrics (Istio: pilot/pkg/bootstrap/monitoring.go, addMonitor). A
// nil hc means http.DefaultClient; deadlines come from each call's context.
func NewClient(address string, hc *http.Client) *Client {
	if hc == nil {
		hc = http.DefaultClient
	}
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	return &Client{base: strings.TrimSuffix(address, "/"), http: hc}
}

// Version returns istiod's build, "<version>-<git revision>-<status>", where an unstamped build says "unknown" for
// each part.
func (c *Client) Version(ctx context.Context) (string, error) {
	b, err := c.read(ctx, "/version")
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// Page returns the whole body of a page, by its path and query. It implements [runtime.Pages].
func (c *Client) Page(ctx context.Context, path string) ([]byte, error) { return c.read(ctx, path) }

// read returns the whole body of a page.
func (c *Client) read(ctx context.Context, path string) ([]byte, error) {
	var out []byte
	err := c.get(ctx, path, func(body io.Reader) error {
		var err error
		out, err = io.ReadAll(body)
		return err
	})
	return out, err
}

// get hands the body of a page to use. An error names the page.
func (c *Client) get(ctx context.Context, path string, use func(io.Reader) error) error {
	url := c.base + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("istiod's address: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("asking istiod: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		head, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return &StatusError{URL: url, Code: resp.StatusCode, Body: strings.TrimSpace(string(head))}
	}
	if err := use(&boundedReader{r: resp.Body, left: maxBody}); err != nil {
		return fmt.Errorf("reading %s: %w", url, err)
	}
	return nil
}

// boundedReader fails where io.LimitReader would end: half an answer must not pass for a whole one.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}
