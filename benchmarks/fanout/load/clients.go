package main

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// clients are all viewers, with their counts.
type clients struct {
	options options
	each    []*client

	signedIn, closed, refused                atomic.Int64
	lost, gaps, repeated, early, unrecovered atomic.Int64
	dropping                                 atomic.Bool
	droppedAt                                atomic.Int64
	recovery                                 histogram
	recovered                                atomic.Int64
	windows                                  atomic.Pointer[[]*window]

	mu    sync.Mutex
	notes map[string]int
}

// span is a half-open interval of time, nanoseconds since 1970.
type span [2]int64

func (s span) holds(moment int64) bool { return moment >= s[0] && moment < s[1] }

// window counts the messages that were sent in its spans.
type window struct {
	name     string
	spans    []span
	latency  histogram
	arrivals [shards]struct {
		n atomic.Int64
		_ [56]byte
	}
}

func (a *clients) measure(shard int, sent, now int64) {
	for _, w := range *a.windows.Load() {
		for _, each := range w.spans {
			if each.holds(now) {
				w.arrivals[shard].n.Add(1)
			}
			if each.holds(sent) {
				w.latency.add(shard, now-sent)
			}
		}
	}
}

func (a *clients) resumed(now int64) {
	a.recovered.Add(1)
	if dropped := a.droppedAt.Load(); dropped > 0 {
		a.recovery.add(0, now-dropped)
	}
}

func (a *clients) note(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.notes) < 50 || a.notes[text] > 0 {
		a.notes[text]++
	}
}

func (a *clients) address(tenant int) string {
	return strings.ReplaceAll(a.options.url, "{tenant}", strconv.Itoa(tenant))
}
