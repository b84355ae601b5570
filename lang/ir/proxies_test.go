package ir

import (
	"encoding/json"
	"testing"
)

func TestPin(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Pin{
		`null`:             {},
		`0`:                {Set: true},
		`3`:                {Number: 3, Set: true},
		`"10.0.0.7:15010"`: {Address: "10.0.0.7:15010"},
	} {
		var got Pin
		if err := json.Unmarshal([]byte(text), &got); err != nil || got != want {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
		if b, err := json.Marshal(got); err != nil || string(b) != text {
			t.Errorf("%+v is written %s, %v", got, b, err)
		}
	}
	var p Pin
	if json.Unmarshal([]byte(`true`), &p) == nil {
		t.Error("a bool is a pin")
	}
}
