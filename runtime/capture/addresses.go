package capture

import (
	"crypto/rand"
	"crypto/sha256"
	"net/netip"
	"regexp"
)

// addresses replaces IP addresses so that those of one network stay in one network: the first bits in which two addresses
// agree are as many after as before. Ranges in policies so still match what they matched.
type addresses struct{ key [32]byte }

func newAddresses() (*addresses, error) {
	a := &addresses{}
	_, err := rand.Read(a.key[:])
	return a, err
}

// ranges are those that mean something by themselves: of an address in one of them the first bits stay, so that it stays in
// its range, and no other address comes into it.
var ranges = []struct {
	netip.Prefix
	stay int // bits
}{
	// Private networks. Of 10.0.0.0/8 a little more, so that the Services of a sandbox stay in their range.
	{netip.MustParsePrefix("10.0.0.0/8"), 12}, {netip.MustParsePrefix("172.16.0.0/12"), 12}, {netip.MustParsePrefix("192.168.0.0/16"), 16},
	{netip.MustParsePrefix("100.64.0.0/10"), 10}, {netip.MustParsePrefix("fc00::/7"), 7},
	// No address, this host, this link, many hosts, and what istiod gives to ServiceEntries (Istio
	// pilot/pkg/controllers/ipallocate): every bit stays.
	{netip.MustParsePrefix("0.0.0.0/8"), 32}, {netip.MustParsePrefix("127.0.0.0/8"), 32}, {netip.MustParsePrefix("169.254.0.0/16"), 32},
	{netip.MustParsePrefix("224.0.0.0/3"), 32}, {netip.MustParsePrefix("::/127"), 128}, {netip.MustParsePrefix("fe80::/10"), 128},
	{netip.MustParsePrefix("ff00::/8"), 128}, {netip.MustParsePrefix("2001:2::/48"), 128},
}

// address replaces one address. Whether a bit is flipped depends on the bits before it alone, which makes it a bijection.
func (a *addresses) address(ip netip.Addr) netip.Addr {
	in, out := ip.AsSlice(), ip.AsSlice()
	for bit := range len(in) * 8 {
		if !stays(ip, bit) && a.flips(in, bit) {
			out[bit/8] ^= 0x80 >> (bit % 8)
		}
	}
	next, _ := netip.AddrFromSlice(out)
	return next
}

// stays reports whether a bit of the address stays, because those before it may begin an address of a range.
func stays(ip netip.Addr, bit int) bool {
	for _, r := range ranges {
		if bit >= r.stay || r.Addr().Is4() != ip.Is4() {
			continue
		}
		if head, err := ip.Prefix(min(bit, r.Bits())); err == nil && head.Contains(r.Addr()) {
			return true
		}
	}
	return false
}

// flips decides about a bit by all those before it.
func (a *addresses) flips(in []byte, bit int) bool {
	head := make([]byte, len(in), len(in)+1)
	copy(head, in[:bit/8])
	head[bit/8] = in[bit/8] &^ (0xff >> (bit % 8))
	h := sha256.New()
	h.Write(a.key[:])
	h.Write(append(head, byte(bit)))
	return h.Sum(nil)[0]&1 == 1
}

// prefix replaces a range.
func (a *addresses) prefix(p netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(a.address(p.Masked().Addr()), p.Bits()).Masked()
}

var dottedQuad = regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?\b`)

// text replaces the addresses in a text: the text as a whole, or IPv4 addresses within.
func (a *addresses) text(s string) string {
	if ip, err := netip.ParseAddr(s); err == nil {
		return a.address(ip.WithZone("")).String()
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return a.prefix(p).String()
	}
	return dottedQuad.ReplaceAllStringFunc(s, func(q string) string {
		if ip, err := netip.ParseAddr(q); err == nil {
			return a.address(ip).String()
		}
		if p, err := netip.ParsePrefix(q); err == nil {
			return a.prefix(p).String()
		}
		return q
	})
}
