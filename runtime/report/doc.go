// Package report turns the outcome of a run into something to read: report.json for programs, junit.xml for CI,
// report.html for people, the verdict on standard output, and the progress shown while the run lasts.
//
// Everything is rendered from one [Report], which is exactly what report.json holds, so that no view can say what
// another does not. The package reads no clock, no environment and no file system: all of them are passed in.
package report
