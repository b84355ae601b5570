package xdspool

import (
	"context"
	"fmt"
	"math"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

// The agent's connection (Istio pilot/pkg/grpc ClientOptions, pkg/keepalive DefaultOption). A window is a promise, not
// memory: nothing is allocated until data arrives.
const (
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
	windowSize       = 1 << 20
	dialTimeout      = 5 * time.Second
)

// bufferSize is that of a connection's read buffer, and of the write buffer it has while it writes. Both are gRPC's
// 32 KiB otherwise, which would be most of what an idle proxy costs.
const bufferSize = 4 << 10

var dialOptions = []grpc.DialOption{
	grpc.WithTransportCredentials(insecure.NewCredentials()),
	grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
	grpc.WithInitialWindowSize(windowSize),
	grpc.WithInitialConnWindowSize(windowSize),
	grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: dialTimeout}),
	grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.ForceCodecV2(codec{})),
	grpc.WithReadBufferSize(bufferSize),
	grpc.WithWriteBufferSize(bufferSize),
	// A stream that ends ends its connection: what grpc-go would do to keep a channel usable is not wanted.
	grpc.WithIdleTimeout(0),
	grpc.WithDisableRetry(),
	grpc.WithDisableServiceConfig(),
	grpc.WithDisableHealthCheck(),
	grpc.WithNoProxy(),
}

var streamDesc = &grpc.StreamDesc{
	StreamName:    "DeltaAggregatedResources",
	ClientStreams: true,
	ServerStreams: true,
}

// stream is one delta ADS stream.
type stream interface {
	SendMsg(m any) error // m is a *discovery.DeltaDiscoveryRequest
	RecvMsg(m any) error // m is a *frame
}

// openStream connects to address and opens a stream on a connection of its own. Both end with ctx or with close. The
// server's answer is not waited for: a refusal comes out of the first RecvMsg.
func openStream(ctx context.Context, address string) (s stream, closeConn func() error, err error) {
	// The name is resolved by the dialer, on each connect, as the agent does it.
	conn, err := grpc.NewClient("passthrough:///"+address, dialOptions...)
	if err != nil {
		return nil, nil, fmt.Errorf("xds server %s: %w", address, err)
	}
	s, err = conn.NewStream(ctx, streamDesc, discovery.AggregatedDiscoveryService_DeltaAggregatedResources_FullMethodName)
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("xds server %s: %w", address, err)
	}
	return s, conn.Close, nil
}
