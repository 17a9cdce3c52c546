package main

import "testing"

func TestEveryDurationFallsIntoABucketThatIsAtMostOneHundredthWide(t *testing.T) {
	for microseconds := uint64(0); microseconds < 50_000_000; microseconds += 1 + microseconds/3_000 {
		upper := upperBound(bucketOf(microseconds)) * 1000
		if upper < float64(microseconds) || upper > float64(microseconds)*1.01+1 {
			t.Fatalf("%d us is counted as at most %.0f us", microseconds, upper)
		}
	}
}

func TestQuantilesAreOfAllShardsTogether(t *testing.T) {
	var h histogram
	for milliseconds := int64(1); milliseconds <= 100; milliseconds++ {
		h.add(int(milliseconds)%shards, milliseconds*1_000_000)
	}
	found := h.quantiles()
	if found.Count != 100 || found.Max != 100 || found.P50 < 50 || found.P50 > 52 || found.P99 < 99 || found.P99 > 101 {
		t.Fatalf("%+v", found)
	}
}
