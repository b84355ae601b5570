package dump

import (
	"errors"
	"fmt"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"
)

// The suffixes tell Envoy what a file holds (Envoy source/common/protobuf/utility.cc loadFromFile).
const (
	yamlSuffix   = ".yaml"
	binarySuffix = ".pb"
)

// response writes resources as Envoy reads them from a file: as a discovery response. It returns the file's path.
func (w *writer) response(file, url string, list []rewritten) (string, error) {
	r := &discovery.DiscoveryResponse{VersionInfo: "0", TypeUrl: url}
	private, unknown := false, false
	for _, a := range list {
		r.Resources = append(r.Resources, a.Any)
		private, unknown = private || a.private, unknown || a.unknown
	}
	return w.write(file, r, private, unknown)
}

// write writes a message as YAML, or in binary form where it holds types that are not known.
func (w *writer) write(file string, m proto.Message, private, binary bool) (string, error) {
	encode, suffix := toYAML, yamlSuffix
	if binary {
		encode, suffix = proto.MarshalOptions{Deterministic: true}.Marshal, binarySuffix
		w.summary.Binary = append(w.summary.Binary, file+suffix)
	}
	file += suffix
	text, err := encode(m)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	out, err := w.files.Create(file, private)
	if err != nil {
		return "", err
	}
	_, err = out.Write(text)
	if err := errors.Join(err, out.Close()); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	w.summary.Files++
	return w.path(file), nil
}

func toYAML(m proto.Message) ([]byte, error) {
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
	if err != nil {
		return nil, err
	}
	return yaml.JSONToYAML(text)
}
