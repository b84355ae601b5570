package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/plscript/plscript/runtime/xdspool/auth"
)

// googleHost is Google's managed istiod.
const googleHost = "meshconfig.googleapis.com"

// googleMetadata is the metadata server of Google's machines, which knows what cluster they are in.
const googleMetadata = "http://metadata.google.internal"

// googleClient talks to Google: the exchange of tokens, the metadata server.
var googleClient = &http.Client{Timeout: 10 * time.Second}

// isGoogle reports whether an address is that of Google's managed istiod.
func isGoogle(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && host == googleHost
}

// inferGoogle finds the GKE cluster that proxies of the target belong to: by the name that gcloud gives to kubeconfig
// contexts, or, inside a cluster, from the metadata server.
func inferGoogle(ctx context.Context, kubeContext string, inCluster bool, server string) (*auth.GoogleCluster, error) {
	c, err := auth.ParseGoogleContext(kubeContext)
	if err == nil {
		return &c, nil
	}
	if !inCluster {
		return nil, fmt.Errorf("--auth google: %w", err)
	}
	for path, field := range map[string]*string{
		"project/project-id": &c.Project, "instance/attributes/cluster-location": &c.Location, "instance/attributes/cluster-name": &c.Name,
	} {
		if *field, err = readMetadata(ctx, server, path); err != nil {
			return nil, fmt.Errorf("--auth google: %s: %w", path, err)
		}
	}
	return &c, nil
}

// readMetadata asks the metadata server for one value.
func readMetadata(ctx context.Context, server, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/computeMetadata/v1/"+path, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Metadata-Flavor", "Google")
	resp, err := googleClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	switch {
	case err != nil:
		return "", err
	case resp.StatusCode != http.StatusOK:
		return "", errors.New(resp.Status)
	}
	return strings.TrimSpace(string(b)), nil
}

// clusterID is the ID of the cluster that proxies say they are in; "" means the pool's default.
func (r *session) clusterID() string {
	if r.target.google == nil {
		return ""
	}
	return r.target.google.ID()
}

// metadata is what the command line adds to the node metadata of every proxy, over what Google's istiod needs to know.
func (r *session) metadata() map[string]any {
	out := map[string]any{}
	if r.target.google != nil {
		for k, v := range r.target.google.Metadata() {
			out[k] = v
		}
	}
	maps.Copy(out, r.opt.target.metadata)
	return out
}
