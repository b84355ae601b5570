package runtime

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"reflect"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/plscript/plscript/runtime/expr"
)

// The hidden variables of templates, through which functions reach the step's generator and the scene.
var (
	rngObject   = &expr.Object{Name: "plscript.rng"}
	sceneObject = &expr.Object{Name: "plscript.scene"}
)

// certObject is what cert(host) returns.
var certObject = &expr.Object{Name: "plscript.certificate", Fields: []expr.ObjectField{
	field("crt", "The certificate, PEM.", cel.StringType, func(c certificate) any { return c.crt }),
	field("key", "Its key, PEM.", cel.StringType, func(c certificate) any { return c.key }),
}}

// holeFuncs are the functions of templates.
func holeFuncs(certs *issuer) []expr.Func {
	rng, scene := rngObject.Type(), sceneObject.Type()
	element := cel.TypeParamType("T")
	cert := expr.Func{Name: "cert", Hidden: "__scene", Result: certObject.Type(), Call: certs.call,
		Args: []*cel.Type{scene, cel.StringType},
		Doc:  `A certificate for a TLS Secret, of which .crt and .key are a pair, PEM: stringData: "tls.crt": "${cert('a.example.com').crt}". Another generation has another one.`}
	certs2 := cert
	certs2.Args, certs2.Variadic = []*cel.Type{scene, cel.ListType(cel.StringType)}, true
	certs2.Doc = "The same for several hosts, also written cert('a.example.com', 'b.example.com')."
	return []expr.Func{
		{Name: "rand", Hidden: "__rng", Doc: "A random integer from 0 to below n.",
			Args: []*cel.Type{rng, cel.IntType}, Result: cel.IntType, Call: callRand},
		{Name: "pick", Hidden: "__rng", Doc: "A random element of the list.",
			Args: []*cel.Type{rng, cel.ListType(element)}, Result: element, Call: callPick},
		{Name: "ip", Doc: "The address with that number, from 0, of 100.64.0.0/10, which nothing else in a run uses: ip(index) for a ServiceEntry's or WorkloadEntry's own.",
			Args: []*cel.Type{cel.IntType}, Result: cel.StringType, Call: callIP},
		{Name: "hash", Doc: "Ten hexadecimal digits that depend on the text alone, for names and labels: hash(app.host).",
			Args: []*cel.Type{cel.StringType}, Result: cel.StringType, Call: callHash},
		{Name: "base64", Doc: "The text in base64, as `data` of a Secret wants it: base64(cert('a.example.com').key).",
			Args: []*cel.Type{cel.StringType}, Result: cel.StringType, Call: callBase64},
		cert, certs2,
	}
}

func generator(v ref.Val) *rand.Rand { return v.(expr.Value).Go().(*rand.Rand) }

func callRand(args ...ref.Val) ref.Val {
	n := int64(args[1].(types.Int))
	if n <= 0 {
		return types.NewErr("rand(%d): must be above zero", n)
	}
	return types.Int(generator(args[0]).Int64N(n))
}

func callPick(args ...ref.Val) ref.Val {
	l, ok := args[1].(interface {
		Size() ref.Val
		Get(ref.Val) ref.Val
	})
	if !ok || l.Size() == types.IntZero {
		return types.NewErr("pick: the list is empty")
	}
	return l.Get(types.Int(generator(args[0]).Int64N(int64(l.Size().(types.Int)))))
}

func callIP(args ...ref.Val) ref.Val {
	n := int64(args[0].(types.Int))
	if n < 0 || n >= maxObjectIPs {
		return types.NewErr("ip(%d): the addresses have the numbers 0 to %d", n, maxObjectIPs-1)
	}
	return types.String(dotted(objectNet + uint32(n) + 1))
}

func callHash(args ...ref.Val) ref.Val {
	sum := sha256.Sum256([]byte(text(args[0])))
	return types.String(hex.EncodeToString(sum[:5]))
}

func callBase64(args ...ref.Val) ref.Val {
	return types.String(base64.StdEncoding.EncodeToString([]byte(text(args[0]))))
}

// call issues the certificate of cert(host) and cert(hosts).
func (i *issuer) call(args ...ref.Val) ref.Val {
	scene := args[0].(expr.Value).Go().(*Scene)
	var hosts []string
	if one, ok := args[1].(types.String); ok {
		hosts = []string{string(one)}
	} else {
		list, err := args[1].ConvertToNative(reflect.TypeFor[[]string]())
		if err != nil {
			return types.NewErr("cert: %v", err)
		}
		hosts = list.([]string)
	}
	c, err := i.issue(hosts, scene.Generation)
	if err != nil {
		return types.NewErr("cert: %v", err)
	}
	return certObject.Value(c)
}
