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

// kept are the ranges of which every address stays in its range; in all others the first 4 bits stay.
var kept = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/12"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("fc00::/7"),
}

// same are ranges that mean something by themselves: no address, this host, this link, many hosts, and what istiod gives
// to ServiceEntries (Istio pilot/pkg/networking/serviceentry, 240.240.0.0/16).
var same = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/3"),
	netip.MustParsePrefix("::/127"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("ff00::/8"), netip.MustParsePrefix("2001:2::/48"),
}

// address replaces one address.
func (a *addresses) address(ip netip.Addr) netip.Addr {
	for _, p := range same {
		if p.Contains(ip) {
			return ip
		}
	}
	stay := 4
	for _, p := range kept {
		if p.Contains(ip) {
			stay = p.Bits()
		}
	}
	if ip.Is4() && ip.As4()[0] == 10 {
		stay = 12 // so that Services of a sandbox stay in its range
	}
	out := ip.AsSlice()
	in := ip.AsSlice()
	for bit := stay; bit < len(in)*8; bit++ {
		if a.flips(in, bit) {
			out[bit/8] ^= 0x80 >> (bit % 8)
		}
	}
	next, _ := netip.AddrFromSlice(out)
	return next
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
