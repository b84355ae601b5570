package sandbox

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/plscript/plscript/sandbox/internal/process"
)

const (
	// startTimeout is the longest that one process may take to be ready. It takes seconds, on a very busy machine tens of them.
	startTimeout = 2 * time.Minute
	// probeEvery is how often a starting process is asked whether it is ready.
	probeEvery = 50 * time.Millisecond
	// probeTimeout bounds one such question.
	probeTimeout = 5 * time.Second
)

// await asks probe until it succeeds. It gives up when the process ends, with a ProcessError, when ctx ends, or after startTimeout.
func await(ctx context.Context, p *process.Process, probe func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("not ready after %v", startTimeout))
	defer cancel()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		asking, done := context.WithTimeout(ctx, probeTimeout)
		err := probe(asking)
		done()
		if err == nil {
			return nil
		}
		if !p.Alive() {
			return newProcessError(p)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (its last answer: %w)", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// get fetches a page and returns its text; any status but 200 is an error.
func get(ctx context.Context, client *http.Client, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("GET %s: %s", url, response.Status)
	}
	return string(body), nil
}

// loopbackClient is a client that uses no proxy and leaves no connection open. With a socket, it connects there whatever the address.
func loopbackClient(socket string) *http.Client {
	transport := &http.Transport{DisableKeepAlives: true}
	if socket != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
	}
	return &http.Client{Transport: transport}
}
