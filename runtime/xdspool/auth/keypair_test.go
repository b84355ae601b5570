package auth

import (
	"crypto"
	"crypto/rsa"
	"testing"
)

// TestKeyPair: the key is the one that the certificate is for, and a proxy is signed for once.
func TestKeyPair(t *testing.T) {
	t.Parallel()
	m := newMesh(t, newClock())
	a := m.authenticator(t, &issuer{}, func(c *Config) { c.Key = RSA })
	pair, err := a.KeyPair(t.Context(), pod("p"))
	if err != nil {
		t.Fatal(err)
	}
	key, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if pub, isKey := pair.Leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !isKey || !pub.Equal(key.Public()) {
		t.Errorf("the key is a %T and not the certificate's", pair.PrivateKey)
	}
	chain, err := a.Certificate(t.Context(), pod("p"))
	if err != nil || len(chain) != len(pair.Certificate) || string(chain[0].Raw) != string(pair.Certificate[0]) || m.count() != 1 {
		t.Errorf("%d certificates of %d requests, %v", len(chain), m.count(), err)
	}
	plain, err := New(Config{Mode: Plaintext, Clock: m.clock})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.KeyPair(t.Context(), pod("p")); err == nil {
		t.Error("a certificate without an authority")
	}
}
