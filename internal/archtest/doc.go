// Package archtest holds the rules of the house that a compiler does not check: which package may import which, what
// code below the command line may not touch, and how long files and functions may get. They are ordinary tests, so that
// plain `go test` enforces them without any tool being installed.
package archtest
