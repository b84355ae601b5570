package main

import (
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// loopWords is how many numbers each core sorts in [loop]: 32 MiB of memory.
const loopWords = 4 << 20

// loop is fixed work for every core, memory that is touched for the first time and then sorted, and returns how long it took.
// Neighbours slow a shared machine down by up to a half for minutes: figures of two times can be compared by it.
func loop() time.Duration {
	debug.FreeOSMemory() // what an earlier loop has touched would be quicker
	start := time.Now()
	var all sync.WaitGroup
	for core := range runtime.NumCPU() {
		all.Go(func() {
			numbers, random := make([]uint64, loopWords), rand.New(rand.NewPCG(1, uint64(core)))
			for i := range numbers {
				numbers[i] = random.Uint64()
			}
			slices.Sort(numbers)
		})
	}
	all.Wait()
	return time.Since(start)
}
