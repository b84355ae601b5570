package kinds

import (
	"encoding/json"
	"errors"
	"reflect"

	kjson "sigs.k8s.io/json"

	"github.com/plscript/plscript/lang/ir"
)

// decode reads an object in which nothing wrong was found the way that clients and the api-server do, so that a type that
// the walk takes for something else cannot let a mistake through.
func (c *checker) decode(typ reflect.Type, obj map[string]any) {
	text, err := json.Marshal(obj)
	if err != nil {
		c.add(ir.CodeValue, "", "cannot be written as JSON: "+err.Error())
		return
	}
	unknown, err := kjson.UnmarshalStrict(text, reflect.New(typ).Interface())
	for _, err := range unknown {
		c.undecodable(err)
	}
	if err != nil {
		c.undecodable(err)
	}
}

func (c *checker) undecodable(err error) {
	path := ""
	var mismatch *json.UnmarshalTypeError
	var field kjson.FieldError
	switch {
	case errors.As(err, &mismatch):
		path = mismatch.Field
	case errors.As(err, &field):
		path = field.FieldPath()
	}
	c.add(ir.CodeValue, path, "cannot be decoded: "+err.Error())
}
