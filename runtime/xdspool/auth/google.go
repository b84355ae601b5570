package auth

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// GoogleCluster is a GKE cluster, which a managed Istio knows its proxies by.
type GoogleCluster struct{ Project, Location, Name string }

// ParseGoogleContext reads the name that gcloud gives a kubeconfig context: gke_PROJECT_LOCATION_NAME.
func ParseGoogleContext(context string) (GoogleCluster, error) {
	parts := strings.SplitN(context, "_", 4)
	if len(parts) != 4 || parts[0] != "gke" || parts[1] == "" || parts[2] == "" || parts[3] == "" {
		return GoogleCluster{}, fmt.Errorf("context %q is not called gke_PROJECT_LOCATION_NAME, so its cluster has to be given", context)
	}
	return GoogleCluster{parts[1], parts[2], parts[3]}, nil
}

// ID is the cluster's ID in the mesh.
func (c GoogleCluster) ID() string {
	return fmt.Sprintf("cn-%s-%s-%s", c.Project, c.Location, c.Name)
}

// WorkloadPool is the audience of ServiceAccount tokens that may be exchanged.
func (c GoogleCluster) WorkloadPool() string { return c.Project + ".svc.id.goog" }

// Audience is what tokens are exchanged for.
func (c GoogleCluster) Audience() string {
	return fmt.Sprintf("identitynamespace:%s:https://container.googleapis.com/v1/projects/%s/locations/%s/clusters/%s",
		c.WorkloadPool(), c.Project, c.Location, c.Name)
}

// Metadata is what a proxy of the cluster adds to its node metadata.
func (c GoogleCluster) Metadata() map[string]string {
	return map[string]string{
		"CLUSTER_ID": c.ID(), "gcp_project": c.Project, "gcp_location": c.Location, "gcp_gke_cluster_name": c.Name,
	}
}

// googleSTS is where Google exchanges tokens.
const googleSTS = "https://sts.googleapis.com/v1/token"

// Exchange has every token of an issuer exchanged for one of Google's. endpoint is "" but for tests.
func Exchange(from Issuer, c GoogleCluster, client *http.Client, endpoint string) Issuer {
	if endpoint == "" {
		endpoint = googleSTS
	}
	return &exchanger{from, c, client, endpoint}
}

type exchanger struct {
	from     Issuer
	cluster  GoogleCluster
	client   *http.Client
	endpoint string
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// Issue implements [Issuer] with OAuth's token exchange (RFC 8693).
func (e *exchanger) Issue(ctx context.Context, id Identity) (string, time.Duration, error) {
	subject, _, err := e.from.Issue(ctx, id)
	if err != nil {
		return "", 0, err
	}
	form := url.Values{
		"grant_type":           {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"audience":             {e.cluster.Audience()},
		"scope":                {"https://www.googleapis.com/auth/cloud-platform"},
		"requested_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
		"subject_token_type":   {"urn:ietf:params:oauth:token-type:jwt"},
		"subject_token":        {subject},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, fmt.Errorf("token exchange: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := e.client.Do(req)
	if err != nil {
		return "", 0, fmt.Errorf("token exchange: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return "", 0, fmt.Errorf("token exchange: %w", err)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
		Description string `json:"error_description"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", 0, fmt.Errorf("token exchange: %s: %w", resp.Status, err)
	}
	if resp.StatusCode != http.StatusOK || answer.AccessToken == "" {
		return "", 0, fmt.Errorf("token exchange: %s: %s", resp.Status, answer.Description)
	}
	return answer.AccessToken, time.Duration(answer.ExpiresIn) * time.Second, nil
}
