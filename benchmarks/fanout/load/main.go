// The load client: many viewers in one process, each of which checks that it gets every message of its tenant once.
//
// Usage: load -url ws://… -clients FILE [-protocol noc|plain|centrifuge] [-reconnect] [-receipts]
//
// FILE has a line `tenant token` for each client. Commands are JSON lines on standard input, answers are JSON lines
// on standard output:
//
//	{"do":"window","name":"…","spans":[[ns,ns]]}      measure the messages sent in these spans
//	{"do":"await","seqs":{"1":500},"timeout_s":10}    wait until every client has its tenant's last message
//	{"do":"drop"}                                     close every socket at once, like a network failure
//	{"do":"await_recovered","timeout_s":60}           wait until every dropped client has caught up
//	{"do":"report"}                                   all figures
//
// It ends when standard input ends. It connects only to loopback.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

type options struct {
	url, protocol       string
	reconnect, receipts bool
}

func main() {
	var o options
	flag.StringVar(&o.url, "url", "", "of the server; {tenant} stands for the tenant's number")
	file := flag.String("clients", "", "file with a line `tenant token` a client")
	flag.StringVar(&o.protocol, "protocol", protocolNoc, "noc, plain or centrifuge")
	flag.BoolVar(&o.reconnect, "reconnect", false, "come back after a close, with resume")
	flag.BoolVar(&o.receipts, "receipts", false, "say every 10 seconds what was received")
	dialing := flag.Int("dialing", 100, "connections that are opened at the same time")
	connectTimeout := flag.Duration("connect-timeout", 120*time.Second, "for all clients together")
	flag.Parse()
	all, err := read(o, *file)
	if err != nil {
		log.Fatal(err)
	}
	all.connect(*dialing, *connectTimeout)
	answer(map[string]any{"connected": all.signedIn.Load(), "of": len(all.each), "notes": all.notes})
	all.obey()
}

func read(o options, file string) (*clients, error) {
	target, err := url.Parse(o.url)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(target.Hostname()); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s is not on loopback", o.url)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	all := &clients{options: o, notes: map[string]int{}}
	all.windows.Store(&[]*window{})
	for number, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		tenant, token, _ := strings.Cut(line, " ")
		value, err := strconv.Atoi(tenant)
		if err != nil {
			return nil, err
		}
		all.each = append(all.each, &client{all: all, number: number, tenant: value, token: token, shard: number % shards, target: -1})
	}
	return all, nil
}

// connect connects the clients, `dialing` at a time, and waits until all of them are signed in.
func (a *clients) connect(dialing int, timeout time.Duration) {
	slots := make(chan struct{}, dialing)
	deadline := time.Now().Add(timeout)
	var started sync.WaitGroup
	for _, each := range a.each {
		slots <- struct{}{}
		started.Add(1)
		go each.run()
		go func() {
			defer started.Done()
			for !each.ready.Load() && !each.ended.Load() && time.Now().Before(deadline) {
				time.Sleep(2 * time.Millisecond)
			}
			<-slots
		}()
	}
	started.Wait()
}

func (a *clients) obey() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<20)
	for lines.Scan() {
		var command struct {
			Do       string           `json:"do"`
			Name     string           `json:"name"`
			Spans    []span           `json:"spans"`
			Seqs     map[string]int64 `json:"seqs"`
			TimeoutS float64          `json:"timeout_s"`
		}
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			log.Fatal(err)
		}
		timeout := time.Duration(command.TimeoutS * float64(time.Second))
		switch command.Do {
		case "window":
			windows := append(append([]*window{}, *a.windows.Load()...), &window{name: command.Name, spans: command.Spans})
			a.windows.Store(&windows)
			answer(map[string]any{"window": command.Name})
		case "await":
			answer(map[string]any{"behind": a.await(timeout, func(c *client) bool {
				return c.last.Load() >= command.Seqs[strconv.Itoa(c.tenant)]
			})})
		case "drop":
			a.drop()
			answer(map[string]any{"dropped": len(a.each)})
		case "await_recovered":
			wanted := int64(len(a.each))
			deadline := time.Now().Add(timeout)
			for a.recovered.Load() < wanted && time.Now().Before(deadline) {
				time.Sleep(5 * time.Millisecond)
			}
			a.dropping.Store(false)
			answer(map[string]any{"behind": wanted - a.recovered.Load()})
		case "report":
			answer(a.report())
		default:
			log.Fatalf("no such command: %s", command.Do)
		}
	}
}

// await waits until `done` is true for all clients; it returns the number of those for which it is not.
func (a *clients) await(timeout time.Duration, done func(*client) bool) int {
	deadline := time.Now().Add(timeout)
	for {
		behind := 0
		for _, each := range a.each {
			if !done(each) {
				behind++
			}
		}
		if behind == 0 || time.Now().After(deadline) {
			return behind
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// drop closes the sockets without a close frame, like a network failure.
func (a *clients) drop() {
	a.dropping.Store(true)
	a.recovered.Store(0)
	a.droppedAt.Store(time.Now().UnixNano())
	for _, each := range a.each {
		if conn := each.conn.Load(); conn != nil {
			_ = conn.NetConn().Close()
		}
	}
}

func (a *clients) report() map[string]any {
	windows := []map[string]any{}
	for _, w := range *a.windows.Load() {
		arrivals := int64(0)
		for shard := range w.arrivals {
			arrivals += w.arrivals[shard].n.Load()
		}
		windows = append(windows, map[string]any{"name": w.name, "arrivals": arrivals, "latency": w.latency.quantiles()})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return map[string]any{
		"closed": a.closed.Load(), "refused": a.refused.Load(), "lost": a.lost.Load(), "repeated": a.repeated.Load(),
		"early": a.early.Load(), "unrecovered": a.unrecovered.Load(), "recovery": a.recovery.quantiles(),
		"windows": windows, "notes": a.notes,
	}
}

func answer(body map[string]any) {
	line, err := json.Marshal(body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(line))
}
