package main

import (
	"fmt"
	"testing"
	"time"
)

func message(seq, prev int64) []byte {
	return fmt.Appendf(nil, `{"type":"anomaly_detected","timestamp":"x","seq":%d,"event_id":"attendance:7:%d","prev_seq":%d}`, seq, time.Now().UnixNano(), prev)
}

func viewer() *client {
	all := &clients{notes: map[string]int{}}
	all.windows.Store(&[]*window{{name: "all", spans: []span{{0, 1 << 62}}}})
	c := &client{all: all, target: -1}
	c.begin()
	return c
}

func TestADenseFeedIsCountedAndNothingElse(t *testing.T) {
	c := viewer()
	for seq := int64(1); seq <= 50; seq++ {
		c.take(message(seq, seq-1), time.Now().UnixNano())
	}
	window := (*c.all.windows.Load())[0]
	if c.all.lost.Load() != 0 || c.all.repeated.Load() != 0 || window.latency.quantiles().Count != 50 {
		t.Fatalf("lost %d repeated %d measured %d", c.all.lost.Load(), c.all.repeated.Load(), window.latency.quantiles().Count)
	}
}

func TestAMissingAndARepeatedMessageAreFound(t *testing.T) {
	c := viewer()
	for _, each := range [][2]int64{{1, 0}, {2, 1}, {5, 4}, {5, 4}, {6, 5}} {
		c.take(message(each[0], each[1]), time.Now().UnixNano())
	}
	if c.all.lost.Load() != 2 || c.all.gaps.Load() != 1 || c.all.repeated.Load() != 1 {
		t.Fatalf("lost %d in %d gaps, repeated %d", c.all.lost.Load(), c.all.gaps.Load(), c.all.repeated.Load())
	}
}

func TestAPingAmongOtherRepliesIsAnsweredByItself(t *testing.T) {
	lines := 0
	eachLine([]byte("{\"push\":1}\n{}\n{\"push\":2}\n"), func([]byte) { lines++ })
	if lines != 3 {
		t.Fatalf("%d lines", lines)
	}
}
