package xdspool

import "google.golang.org/protobuf/encoding/protowire"

// Field numbers of envoy.config.core.v3.TransportSocket, of the TLS contexts that one may hold
// (envoy.extensions.transport_sockets.tls.v3 and quic.v3), and of what is in these.
const (
	socketTypedConfig  = 3
	contextCommon      = 1 // of DownstreamTlsContext and UpstreamTlsContext
	quicContext        = 1
	commonCertificates = 6 // tls_certificate_sds_secret_configs
	commonValidation   = 7 // validation_context_sds_secret_config
	commonCombined     = 8 // combined_validation_context
	combinedValidation = 2
	secretName         = 1
	secretSource       = 2
	sourceADS          = 3
	downstreamTLSURL   = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
	upstreamTLSURL     = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
	quicDownstreamURL  = "type.googleapis.com/envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport"
)

// transportSocket finds the secrets of a transport socket that come over ADS. A workload's own certificate does not: it
// is its agent's to give (Istio pilot/pkg/security/model, SDSAdsConfig and ConstructSdsSecretConfig).
func (f *facts) transportSocket(b []byte) error {
	config, err := message(b, socketTypedConfig)
	if err != nil {
		return err
	}
	url, err := message(config, anyTypeURL)
	if err != nil {
		return err
	}
	kind := string(url)
	if kind != downstreamTLSURL && kind != upstreamTLSURL && kind != quicDownstreamURL {
		return nil
	}
	context, err := message(config, anyValue)
	if err == nil && kind == quicDownstreamURL {
		context, err = message(context, quicContext)
	}
	if err != nil {
		return err
	}
	common, err := message(context, contextCommon)
	if err != nil {
		return err
	}
	return eachField(common, func(x field) error {
		if x.kind != protowire.BytesType {
			return nil
		}
		switch x.num {
		case commonCertificates, commonValidation:
			return f.secret(x.bytes)
		case commonCombined:
			return eachMessage(x.bytes, combinedValidation, f.secret)
		}
		return nil
	})
}

// secret reads an SdsSecretConfig.
func (f *facts) secret(b []byte) error {
	var name, source []byte
	err := eachField(b, func(x field) error {
		switch {
		case x.kind != protowire.BytesType:
		case x.num == secretName:
			name = x.bytes
		case x.num == secretSource:
			source = x.bytes
		}
		return nil
	})
	if err != nil {
		return err
	}
	return eachMessage(source, sourceADS, func([]byte) error { return f.refer(sds, name) })
}
