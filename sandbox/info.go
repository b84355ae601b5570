package sandbox

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/plscript/plscript/sandbox/internal/process"
)

// Info describes a sandbox. It is what the state file holds.
type Info struct {
	Name              string    `json:"name,omitempty"` // empty for a private one
	Dir               string    `json:"dir"`            // holds everything of it; 0700
	Created           time.Time `json:"created"`
	KubernetesVersion string    `json:"kubernetesVersion"` // as the api-server reports it: "v1.36.3"
	IstioVersion      string    `json:"istioVersion"`      // as istiod reports it: "1.31.0"
	Controllers       bool      `json:"controllers"`       // a kube-controller-manager runs
	Profile           string    `json:"profile"`           // that Istio is installed with: "ambient" or "default"
	Ambient           bool      `json:"ambient"`           // istiod serves ztunnels, as the profile or its environment has it
	Ports             Ports     `json:"ports"`
}

// Kubeconfig is the path of a kubeconfig file with all rights in the sandbox.
func (i Info) Kubeconfig() string { return filepath.Join(i.Dir, "kubeconfig") }

// APIServerURL is the api-server's address.
func (i Info) APIServerURL() string { return "https://" + loopback(i.Ports.APIServer) }

// EtcdEndpoint is etcd's address as its client and gRPC understand it. It is a Unix socket that speaks plaintext.
func (i Info) EtcdEndpoint() string { return "unix://" + i.etcdSocket("client") }

// XDSAddress is istiod's plaintext gRPC port, host:port.
func (i Info) XDSAddress() string { return loopback(i.Ports.XDS) }

// XDSAddresses are the plaintext gRPC ports of all istiods, the first one's first.
func (i Info) XDSAddresses() []string {
	return i.ofIstiods(func(p IstiodPorts) string { return loopback(p.XDS) })
}

// SecureXDSAddresses are the gRPC ports with TLS of all istiods, the first one's first.
func (i Info) SecureXDSAddresses() []string {
	return i.ofIstiods(func(p IstiodPorts) string { return localhost(p.SecureXDS) })
}

// MonitoringAddresses are the ports for metrics of all istiods, the first one's first.
func (i Info) MonitoringAddresses() []string {
	return i.ofIstiods(func(p IstiodPorts) string { return loopback(p.Monitoring) })
}

func (i Info) ofIstiods(address func(IstiodPorts) string) []string {
	var out []string
	for _, p := range i.Ports.istiods() {
		out = append(out, address(p))
	}
	return out
}

// SecureXDSAddress is istiod's gRPC port with TLS, host:port. The host is localhost: istiod's certificate holds names, no addresses.
func (i Info) SecureXDSAddress() string { return localhost(i.Ports.SecureXDS) }

// HTTPAddress is istiod's port for readiness and debug pages (/ready, /debug/syncz), host:port.
func (i Info) HTTPAddress() string { return loopback(i.Ports.HTTP) }

// MonitoringAddress is istiod's port for metrics (/metrics, /version), host:port.
func (i Info) MonitoringAddress() string { return loopback(i.Ports.Monitoring) }

// InjectURL is istiod's injection webhook.
func (i Info) InjectURL() string { return "https://" + localhost(i.Ports.Webhook) + "/inject" }

// ValidateURL is istiod's validation webhook.
func (i Info) ValidateURL() string { return "https://" + localhost(i.Ports.Webhook) + "/validate" }

func (i Info) logFile(process string) string { return filepath.Join(i.Dir, process+".log") }

// Env returns shell lines that point other programs at the sandbox: PILOT_ADDRESS and the like are the first istiod's,
// PILOT_ADDRESSES those of all, with commas between them.
func (i Info) Env() []string {
	list := func(addresses []string) string { return shellQuote(strings.Join(addresses, ",")) }
	return []string{
		"export KUBECONFIG=" + shellQuote(i.Kubeconfig()),
		"export PILOT_ADDRESS=" + shellQuote(i.XDSAddress()),
		"export PILOT_SECURE_ADDRESS=" + shellQuote(i.SecureXDSAddress()),
		"export PILOT_MONITORING_ADDRESS=" + shellQuote(i.MonitoringAddress()),
		"export PILOT_ADDRESSES=" + list(i.XDSAddresses()),
		"export PILOT_SECURE_ADDRESSES=" + list(i.SecureXDSAddresses()),
		"export PILOT_MONITORING_ADDRESSES=" + list(i.MonitoringAddresses()),
	}
}

// shellQuote makes one word of text for a POSIX shell.
func shellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func localhost(port int) string { return "localhost:" + strconv.Itoa(port) }

// maxSocketPath is the longest path of a Unix socket on every system we run on (sockaddr_un: 104 bytes with the final NUL on macOS).
const maxSocketPath = 103

func (i Info) etcdSocket(kind string) string { return filepath.Join(i.Dir, "etcd-"+kind+".sock") }

func (i Info) checkSocketPath() error {
	if path := i.etcdSocket("client"); len(path) > maxSocketPath {
		return fmt.Errorf("%s is %d bytes long, and a socket's path may have %d: choose a shorter name or state folder", path, len(path), maxSocketPath)
	}
	return nil
}

// ProcessError says that one of the sandbox's processes ended by itself.
type ProcessError struct {
	Name string   // "etcd", "kube-apiserver", "kube-controller-manager", "istiod", "istiod-1" and so on
	PID  int      //
	Exit string   // how it ended, such as "signal: killed"; empty when it was not our child
	Log  []string // the last lines of its log
}

// Error names the process and shows the end of its log.
func (e *ProcessError) Error() string {
	exit := e.Exit
	if exit == "" {
		exit = "how is not known"
	}
	text := fmt.Sprintf("%s (process %d) has ended: %s", e.Name, e.PID, exit)
	if len(e.Log) > 0 {
		text += "; its log ends:\n  " + strings.Join(e.Log, "\n  ")
	}
	return text
}

// errorLogLines is how much of a log goes into a ProcessError.
const errorLogLines = 15

func newProcessError(p *process.Process) *ProcessError {
	return &ProcessError{Name: p.Name, PID: p.PID, Exit: p.Exit(), Log: p.Tail(errorLogLines)}
}

// portTaken reports whether the process ended because someone else listens on one of its ports.
func (e *ProcessError) portTaken() bool {
	return strings.Contains(strings.Join(e.Log, "\n"), "address already in use")
}
