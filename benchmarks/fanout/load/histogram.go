package main

import (
	"math/bits"
	"sync/atomic"
)

// Durations are counted in buckets that are at most 0.8 % wide; every delivery is counted, without sampling.
const (
	exactBits = 8 // below 2^8 microseconds a bucket is one microsecond wide
	buckets   = 32 << exactBits
	shards    = 16 // so that two cores do not count in the same cache line
)

type histogram struct {
	counts [shards][buckets]atomic.Int64
	max    [shards]atomic.Int64
}

// add counts a duration in nanoseconds; a negative one counts as zero.
func (h *histogram) add(shard int, nanoseconds int64) {
	if nanoseconds < 0 {
		nanoseconds = 0
	}
	h.counts[shard][bucketOf(uint64(nanoseconds)/1000)].Add(1)
	for {
		most := h.max[shard].Load()
		if nanoseconds <= most || h.max[shard].CompareAndSwap(most, nanoseconds) {
			return
		}
	}
}

func bucketOf(microseconds uint64) int {
	shift := bits.Len64(microseconds >> exactBits)
	if bucket := shift<<exactBits + int(microseconds>>shift); bucket < buckets {
		return bucket
	}
	return buckets - 1
}

// upperBound is the largest duration of a bucket, in milliseconds.
func upperBound(bucket int) float64 {
	shift := bucket >> exactBits
	rest := uint64(bucket & (1<<exactBits - 1))
	return float64((rest+1)<<shift) / 1000
}

type quantiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
}

func (h *histogram) quantiles() quantiles {
	sums := make([]int64, buckets)
	var result quantiles
	for shard := range h.counts {
		for bucket := range h.counts[shard] {
			n := h.counts[shard][bucket].Load()
			sums[bucket] += n
			result.Count += n
		}
		result.Max = max(result.Max, float64(h.max[shard].Load())/1e6)
	}
	at := func(share float64) float64 {
		wanted, seen := int64(share*float64(result.Count)), int64(0)
		for bucket, n := range sums {
			seen += n
			if seen > wanted {
				return upperBound(bucket)
			}
		}
		return 0
	}
	result.P50, result.P99 = at(0.50), at(0.99)
	return result
}
