package sandbox

import (
	"context"
	"path/filepath"

	"github.com/plscript/plscript/sandbox/internal/process"
)

// startEtcd starts etcd and returns when it serves.
func (s *Sandbox) startEtcd(ctx context.Context, binary string) error {
	const nowhere = "http://localhost:2380" // must be host:port, and is only ever dialled by other members: there are none
	p, err := s.run(process.Spec{
		Name: nameEtcd,
		Path: binary,
		Args: []string{
			"--name=sandbox",
			"--data-dir=" + filepath.Join(s.Dir, "etcd-data"),
			"--listen-client-urls=unix://" + s.etcdSocket("client"),
			"--advertise-client-urls=http://localhost:2379",
			// HTTP has a socket of its own, which spares each gRPC connection a look at its first bytes.
			"--listen-client-http-urls=unix://" + s.etcdSocket("http"),
			"--listen-peer-urls=unix://" + s.etcdSocket("peer"),
			"--initial-advertise-peer-urls=" + nowhere,
			"--initial-cluster=sandbox=" + nowhere,
			"--heartbeat-interval=10", "--election-timeout=100", // the only member waits that long before it elects itself
			"--unsafe-no-fsync",                // the data is thrown away with the sandbox
			"--quota-backend-bytes=8589934592", // the most etcd allows, 8 GiB
			"--max-txn-ops=1024",               // lets objects be written straight to the store, many at a time
			"--max-request-bytes=16777216",
			"--log-level=warn",
		},
		Env: []string{"GOGC=400"}, // it holds little, and would collect its garbage many times a second under load
	})
	if err != nil {
		return err
	}
	client := loopbackClient(s.etcdSocket("http"))
	return await(ctx, p, func(ctx context.Context) error {
		_, err := get(ctx, client, "http://etcd/readyz")
		return err
	})
}
