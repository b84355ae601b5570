package replay

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net"
	"slices"
	"sync"

	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Server serves a recording to any number of delta clients: all that was recorded of a type, or what is asked for by name.
type Server struct {
	grpc    *grpc.Server
	answers map[string]*answer // by type URL

	mu      sync.Mutex
	streams map[*stream]bool
	numbers int       // of streams so far
	turn    []*stream // those that [Server.PushInTurn] comes to before it begins anew
}

type stream struct {
	number int
	pushes chan push
}

type push struct {
	url  string
	body []byte
}

// NewServer prepares the answers.
func NewServer(r *Recording) (*Server, error) {
	s := &Server{answers: map[string]*answer{}, streams: map[*stream]bool{}}
	for _, resp := range r.Answers {
		a, err := newAnswer(resp)
		if err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		s.answers[resp.TypeUrl] = a
	}
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(codec{}), grpc.MaxConcurrentStreams(math.MaxUint32), grpc.MaxRecvMsgSize(math.MaxInt32),
		// A server for ten thousand idle connections: buffers come when there is something to put in.
		grpc.ReadBufferSize(0), grpc.WriteBufferSize(32<<10),
	)
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: "envoy.service.discovery.v3.AggregatedDiscoveryService", HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: "DeltaAggregatedResources", Handler: s.serve, ServerStreams: true, ClientStreams: true}},
	}, s)
	return s, nil
}

// Serve serves on l until ctx is done.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, s.grpc.Stop)
	defer stop()
	if err := s.grpc.Serve(l); err != nil && !errors.Is(err, grpc.ErrServerStopped) {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

// Streams returns how many streams are open.
func (s *Server) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// Push sends all streams that have asked for the type a response of its own accord, and returns how many it was queued for.
func (s *Server) Push(resp *discovery.DeltaDiscoveryResponse) (int, error) {
	body, err := proto.Marshal(resp)
	if err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for st := range s.streams {
		if st.offer(push{resp.TypeUrl, body}) {
			n++
		}
	}
	return n, nil
}

// PushInTurn is Push to the next n streams only, each of which has its turn before one has another.
func (s *Server) PushInTurn(resp *discovery.DeltaDiscoveryResponse, n int) (int, error) {
	body, err := proto.Marshal(resp)
	if err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	queued := 0
	for range n {
		if len(s.turn) == 0 {
			s.turn = slices.Collect(maps.Keys(s.streams))
		}
		if len(s.turn) == 0 {
			break
		}
		next := s.turn[0]
		s.turn = s.turn[1:]
		if next.offer(push{resp.TypeUrl, body}) {
			queued++
		}
	}
	return queued, nil
}

// offer queues a push, unless the stream has not taken the last ones: istiod would merge them.
func (st *stream) offer(p push) bool {
	select {
	case st.pushes <- p:
		return true
	default:
		return false
	}
}

// maxQueue is how many pushes wait for a slow client.
const maxQueue = 4

func (s *Server) serve(_ any, ss grpc.ServerStream) error {
	s.mu.Lock()
	s.numbers++
	st := &stream{number: s.numbers, pushes: make(chan push, maxQueue)}
	s.streams[st] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.streams, st)
		s.mu.Unlock()
	}()

	asked := make(chan *discovery.DeltaDiscoveryRequest)
	failed := make(chan error, 1)
	go func() { failed <- receive(ss, asked) }()
	seen := map[string]bool{}
	for nonce := 1; ; nonce++ {
		var m message
		select {
		case r := <-asked:
			if m = s.answer(st, r, seen[r.TypeUrl]); m == nil {
				continue
			}
			seen[r.TypeUrl] = true
		case p := <-st.pushes:
			if !seen[p.url] {
				continue
			}
			m = message{p.body}
		case err := <-failed:
			return err
		}
		if err := ss.SendMsg(append(m, nonceField(nonce))); err != nil {
			return err
		}
	}
}

// answer is what r is answered with; nil is nothing. A type that is had as a whole is sent once.
func (s *Server) answer(st *stream, r *discovery.DeltaDiscoveryRequest, seen bool) message {
	a := s.answers[r.TypeUrl]
	switch {
	case a == nil:
		return nil
	case len(r.ResourceNamesSubscribe) > 0:
		return a.named(r.ResourceNamesSubscribe)
	case seen:
		return nil
	}
	return message{a.whole, st.own(r.TypeUrl)}
}

// receive tells what is asked for, which ACKs do not.
func receive(ss grpc.ServerStream, asked chan<- *discovery.DeltaDiscoveryRequest) error {
	for {
		r := &discovery.DeltaDiscoveryRequest{}
		if err := ss.RecvMsg(r); err != nil {
			return err
		}
		if r.ResponseNonce != "" {
			continue
		}
		select {
		case asked <- r:
		case <-ss.Context().Done():
			return ss.Context().Err()
		}
	}
}

// own is a resource that is different for each client, as a sidecar's inbound cluster and listener are: without it,
// clients would hold the same to the last byte, as they do nowhere.
func (st *stream) own(url string) []byte {
	var m proto.Message
	name := fmt.Sprintf("inbound|%d||", st.number)
	switch url {
	case clusterURL:
		m = &cluster.Cluster{Name: "inbound|own||", AltStatName: name}
	case listenerURL:
		m = &listener.Listener{Name: "virtualInbound-own", StatPrefix: name}
	default:
		return nil
	}
	a, err := anypb.New(m)
	if err != nil {
		return nil
	}
	b, err := proto.Marshal(&discovery.DeltaDiscoveryResponse{Resources: []*discovery.Resource{{Name: "own", Resource: a}}})
	if err != nil {
		return nil
	}
	return b
}

const (
	clusterURL  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listenerURL = "type.googleapis.com/envoy.config.listener.v3.Listener"
)
