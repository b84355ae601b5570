package xdspool

import "google.golang.org/protobuf/encoding/protowire"

// Field numbers of envoy.config.listener.v3.Listener and what it holds.
const (
	listenerChains        = 3
	listenerFilters       = 9
	listenerAPI           = 19
	listenerDefaultChain  = 25
	apiListenerConfig     = 1
	chainFilters          = 3
	chainTransportSocket  = 6
	filterName            = 1 // of network, listener and HTTP filters alike
	filterTypedConfig     = 4 // of network and HTTP filters
	filterConfigDiscovery = 5 // of network, listener and HTTP filters alike
	anyTypeURL            = 1
	managerRDS            = 3
	managerHTTPFilters    = 5
	rdsRouteConfigName    = 2
	connectionManagerURL  = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)

// listener finds the routes (RDS), filter configurations (ECDS) and secrets (SDS) that a listener refers to, and its marks.
func (f *facts) listener(b []byte) error {
	name, err := message(b, listenerName)
	if err != nil {
		return err
	}
	return eachField(b, func(x field) error {
		if x.kind != protowire.BytesType {
			return nil
		}
		switch x.num {
		case listenerChains, listenerDefaultChain:
			return f.filterChain(name, x.bytes)
		case listenerFilters:
			_, err := f.filter(x.bytes)
			return err
		case listenerAccessLog:
			f.mark(aspectTelemetry, x.bytes)
		case listenerAPI:
			config, err := message(x.bytes, apiListenerConfig)
			if err != nil {
				return err
			}
			return f.typed(name, config)
		}
		return nil
	})
}

func (f *facts) filterChain(listener, b []byte) error {
	if err := f.chainMarks(listener, b); err != nil {
		return err
	}
	return eachField(b, func(x field) error {
		switch {
		case x.kind != protowire.BytesType:
		case x.num == chainFilters:
			return f.networkFilter(listener, x.bytes)
		case x.num == chainTransportSocket:
			return f.transportSocket(x.bytes)
		}
		return nil
	})
}

// filter reads what network, listener and HTTP filters have in common: a name, and where config_discovery is set, the
// ECDS resource of that name. It returns the typed config.
func (f *facts) filter(b []byte) (typedConfig []byte, err error) {
	var name []byte
	discovered := false
	err = eachField(b, func(x field) error {
		if x.kind != protowire.BytesType {
			return nil
		}
		switch x.num {
		case filterName:
			name = x.bytes
		case filterTypedConfig:
			typedConfig = x.bytes
		case filterConfigDiscovery:
			discovered = true
		}
		return nil
	})
	if err != nil || !discovered {
		return typedConfig, err
	}
	return typedConfig, f.refer(ecds, name)
}

func (f *facts) networkFilter(listener, b []byte) error {
	config, err := f.filter(b)
	if err != nil {
		return err
	}
	if err := f.filterMarks(b); err != nil {
		return err
	}
	return f.typed(listener, config)
}

// typed reads config, an Any, if it is of a type that is of interest.
func (f *facts) typed(listener, config []byte) error {
	url, err := message(config, anyTypeURL)
	if err != nil {
		return err
	}
	switch string(url) {
	case connectionManagerURL:
		return f.connectionManager(config)
	case tcpProxyURL:
		return f.tcpProxyMarks(listener, config)
	}
	return nil
}

// connectionManager reads config, an Any of an HTTP connection manager.
func (f *facts) connectionManager(config []byte) error {
	manager, err := message(config, anyValue)
	if err != nil {
		return err
	}
	return eachField(manager, func(x field) error {
		if x.kind != protowire.BytesType {
			return nil
		}
		if err := f.managerMarks(x); err != nil {
			return err
		}
		switch x.num {
		case managerRDS:
			name, err := message(x.bytes, rdsRouteConfigName)
			if err != nil {
				return err
			}
			return f.refer(rds, name)
		case managerHTTPFilters:
			_, err := f.filter(x.bytes)
			return err
		}
		return nil
	})
}
