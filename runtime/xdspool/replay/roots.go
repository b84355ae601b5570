package replay

import "github.com/plscript/plscript/runtime"

// Roots are the URLs of the types that a proxy of a class subscribes to as a whole; the others follow from them.
func Roots(class runtime.ProxyClass) []string {
	short := []string{"cds", "lds"}
	switch class {
	case runtime.ClassWaypoint:
		short = []string{"cds", "lds", "workload"}
	case runtime.ClassZtunnel:
		short = []string{"wds", "wads"}
	}
	var urls []string
	for _, s := range short {
		for _, t := range runtime.XDSTypes {
			if t.Short == s {
				urls = append(urls, t.URL)
			}
		}
	}
	return urls
}
