//go:build !linux

package replay_test

import "errors"

const hasBare = false

func beBare(string, int) error { return errors.New("a bare reader needs epoll, which only Linux has") }
