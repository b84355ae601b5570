package sandbox

import (
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"github.com/plscript/plscript/sandbox/internal/pki"
)

// identity is how a kubeconfig's user proves who it is: by one of the two.
type identity struct {
	certificate pki.Pair
	token       string
}

// writeKubeconfig writes a kubeconfig, 0600, that needs no other file.
func writeKubeconfig(path, server string, ca []byte, who identity) error {
	const name = "plscript-sandbox"
	config := api.NewConfig()
	config.Clusters[name] = &api.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[name] = &api.AuthInfo{
		ClientCertificateData: who.certificate.Cert,
		ClientKeyData:         who.certificate.Key,
		Token:                 who.token,
	}
	config.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	content, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("writing kubeconfig: %w", err)
	}
	return nil
}

// RESTConfig returns a client configuration with all rights in the sandbox and no limit on its own rate.
func (i Info) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", i.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("reading the sandbox's kubeconfig: %w", err)
	}
	config.QPS = -1
	return config, nil
}
