package main

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/plscript/plscript/runtime/xdspool/auth"
)

// readAddresses reads the values of a flag that takes HOST:PORT: repeated, or with commas between them.
func readAddresses(flag string, values []string) ([]string, error) {
	var out []string
	for _, v := range values {
		for item := range strings.SplitSeq(v, ",") {
			item = strings.TrimSpace(item)
			if err := checkAddress(flag, item); err != nil {
				return nil, err
			}
			if slices.Contains(out, item) {
				return nil, usage("%s %s: is given twice", flag, item)
			}
			out = append(out, item)
		}
	}
	return out, nil
}

// readAddress reads the value of a flag that takes one HOST:PORT, or none.
func readAddress(flag, value string) (string, error) {
	if value == "" {
		return "", nil
	}
	if strings.Contains(value, ",") {
		return "", usage("%s %s: want one address", flag, value)
	}
	return value, checkAddress(flag, value)
}

// checkAddress finds what is wrong with an address, before anybody dials it.
func checkAddress(flag, address string) error {
	host, port, err := net.SplitHostPort(address)
	if ip, bad := netip.ParseAddr(address); err != nil && bad == nil && ip.Is6() {
		return usage("%s %s: want HOST:PORT; an IPv6 address is written as in [::1]:15010", flag, address)
	}
	if err != nil || host == "" || strings.ContainsAny(host, " \t/@?#") {
		return usage("%s %s: want HOST:PORT, as in localhost:15010", flag, quoted(address))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return usage("%s %s: the port has to be a number from 1 to 65535", flag, address)
	}
	return nil
}

// quoted shows what cannot be seen.
func quoted(s string) string {
	if s == "" || strings.ContainsAny(s, " \t") {
		return strconv.Quote(s)
	}
	return s
}

// checkAuthOf is checkAuth for several istiods, which have to agree.
func checkAuthOf(mode string, addresses []string) (auth.Mode, error) {
	if len(addresses) == 0 {
		return checkAuth(mode, "")
	}
	first, err := checkAuth(mode, addresses[0])
	if err != nil {
		return "", err
	}
	for _, a := range addresses[1:] {
		// What the first was good for is good for the others.
		if other, _ := checkAuth(mode, a); other != first {
			return "", usage("--pilot-address: %s is spoken to in %s and %s in %s; say which with --auth", addresses[0], first, a, other)
		}
	}
	return first, nil
}
