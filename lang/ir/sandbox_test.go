package ir

import "testing"

// TestAmbient: an ambient mesh comes with the profile, or with the variable that the profile sets.
func TestAmbient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		profile Profile
		env     string
		want    bool
	}{
		{"", "", true},
		{ProfileAmbient, "", true},
		{ProfileDefault, "", false},
		{ProfileDefault, "false", false},
		{ProfileDefault, "maybe", false},
		{ProfileDefault, "true", true},
		{ProfileDefault, "1", true},
	} {
		s := Sandbox{Profile: c.profile, Istiod: Istiod{Env: map[string]string{"PILOT_ENABLE_AMBIENT": c.env}}}
		if got := s.Ambient(); got != c.want {
			t.Errorf("profile %q with PILOT_ENABLE_AMBIENT=%s: %v", c.profile, c.env, got)
		}
	}
}
