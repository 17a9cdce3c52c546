package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"
)

// The protocols of the servers.
const (
	protocolNoc        = "noc"        // this project's protocol
	protocolPlain      = "plain"      // one JSON object in each frame, the tenant in the path, no sign-in
	protocolCentrifuge = "centrifuge" // the JSON protocol of centrifugal.dev
)

const (
	dialTimeout   = 15 * time.Second
	firstDelay    = time.Second // of docs/protocol.md for a connection that ended without a code
	delayMax      = time.Minute
	readBytes     = 16 << 10
	messageBytes  = 4 << 20
	receivedEvery = 10 * time.Second // how often a client acknowledges what it has received
)

// client is a viewer, which has one connection at a time. Its fields, except for the atomic ones, are used only by
// its goroutine, which reads and reconnects.
type client struct {
	gws.BuiltinEventHandler
	all    *clients
	number int
	tenant int
	token  string
	shard  int

	last           atomic.Int64 // the last seq that it has received
	conn           atomic.Pointer[gws.Conn]
	ended          atomic.Bool
	epoch          string
	had            bool        // whether it has a position
	ready          atomic.Bool // whether this connection is signed in and has resumed, if it asked for that
	target         int64       // the seq with which it has caught up; -1 if it has
	attempts       int
	delay          time.Duration // requested by the close
	acknowledged   int64         // the last `received`
	acknowledgedAt int64         // and its time, nanoseconds
}

// run connects, reads and, if the options say so, reconnects, until the process ends.
func (c *client) run() {
	for {
		c.ready.Store(false)
		c.attempts++
		conn, response, err := gws.NewClient(c, &gws.ClientOption{
			Addr: c.all.address(c.tenant), ReadBufferSize: readBytes, ReadMaxPayloadSize: messageBytes, HandshakeTimeout: dialTimeout,
		})
		if err != nil {
			c.all.refused.Add(1)
			if response != nil {
				c.all.note(fmt.Sprintf("HTTP %d", response.StatusCode))
				if after, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
					c.delay = time.Duration(after) * time.Second
				}
			} else {
				c.all.note(kindOf(err))
			}
		} else {
			c.conn.Store(conn)
			conn.ReadLoop()
		}
		if !c.all.options.reconnect {
			c.ended.Store(true)
			return
		}
		time.Sleep(c.backoff())
	}
}

// backoff is the delay that docs/protocol.md requires: doubled by each attempt, at least what the server asked, jittered.
func (c *client) backoff() time.Duration {
	if asked := c.delay; asked > 0 { // jittered upwards: it is a minimum
		c.delay = 0
		return asked + time.Duration(rand.Int64N(int64(asked)/2+1))
	}
	wait := min(firstDelay<<min(max(c.attempts-1, 0), 6), delayMax)
	return wait/2 + time.Duration(rand.Int64N(int64(wait)/2+1))
}

func (c *client) OnOpen(conn *gws.Conn) {
	switch c.all.options.protocol {
	case protocolNoc:
		resume := ""
		if c.had {
			resume = fmt.Sprintf(`,"resume":{"epoch":%q,"seq":%d}`, c.epoch, c.last.Load())
		}
		_ = conn.WriteString(fmt.Sprintf(`{"type":"authenticate","token":%q%s}`, c.token, resume))
	case protocolCentrifuge:
		_ = conn.WriteString(`{"id":1,"connect":{}}`)
		_ = conn.WriteString(fmt.Sprintf(`{"id":2,"subscribe":{"channel":"t%d"}}`, c.tenant))
	default:
		c.begin()
	}
}

func (c *client) OnClose(_ *gws.Conn, err error) {
	if c.ready.Load() {
		c.all.signedIn.Add(-1)
	}
	var closed *gws.CloseError
	if errors.As(err, &closed) {
		if _, rest, found := strings.Cut(string(closed.Reason), "retry_after_s="); found {
			if seconds, err := strconv.ParseFloat(strings.SplitN(rest, ";", 2)[0], 64); err == nil {
				c.delay = time.Duration(seconds * float64(time.Second))
			}
		}
		c.all.note(fmt.Sprintf("%d %s", closed.Code, closed.Reason))
	} else if !c.all.dropping.Load() {
		c.all.note(kindOf(err))
	}
	if closed != nil || !c.all.dropping.Load() {
		c.all.closed.Add(1)
	}
}

func (c *client) OnPing(conn *gws.Conn, payload []byte) {
	_ = conn.WritePong(payload)
}

func (c *client) OnMessage(conn *gws.Conn, message *gws.Message) {
	defer message.Close()
	now := time.Now().UnixNano()
	body := message.Bytes()
	if c.all.options.protocol != protocolCentrifuge {
		c.hear(conn, body, now)
		return
	}
	// Several replies, including pings, may share a frame, so each must be answered.
	eachLine(body, func(line []byte) { c.hearCentrifuge(conn, line, now) })
}

func eachLine(body []byte, hear func([]byte)) {
	for len(body) > 0 {
		line, rest, _ := bytes.Cut(body, []byte{'\n'})
		hear(line)
		body = rest
	}
}

var (
	feedHead  = []byte(`{"type":"anomaly_detected"`)
	seqName   = []byte(`"seq":`)
	prevName  = []byte(`"prev_seq":`)
	eventName = []byte(`"event_id":"`)
)

func (c *client) hear(conn *gws.Conn, body []byte, now int64) {
	if bytes.HasPrefix(body, feedHead) {
		c.take(body, now)
		if c.all.options.receipts {
			c.acknowledge(conn, now)
		}
		return
	}
	var head struct {
		Type      string `json:"type"`
		Epoch     string `json:"epoch"`
		Seq       int64  `json:"seq"`
		Recovered bool   `json:"recovered"`
		Reason    string `json:"reason"`
		From      *int64 `json:"from"`
		To        *int64 `json:"to"`
		Code      string `json:"code"`
	}
	if json.Unmarshal(body, &head) != nil {
		c.all.note("unreadable")
		return
	}
	switch head.Type {
	case "connection_established":
		asked := c.had
		c.epoch = head.Epoch
		if !asked {
			c.had = true
			c.last.Store(head.Seq)
			c.begin()
			return
		}
		c.target = head.Seq
	case "resumed":
		if !head.Recovered {
			c.all.unrecovered.Add(1)
			c.all.note("resumed: " + head.Reason)
			if head.To != nil {
				c.all.lost.Add(*head.To - c.last.Load())
				c.last.Store(*head.To)
			}
		} else if head.From == nil || *head.From != c.last.Load()+1 {
			c.all.note("resumed from another position")
		}
		c.begin()
		c.caughtUp(now)
	case "gap":
		c.all.note("gap")
	case "error":
		c.all.note("error " + head.Code)
	}
}

func (c *client) hearCentrifuge(conn *gws.Conn, line []byte, now int64) {
	switch {
	case len(line) == 2: // {}
		_ = conn.WriteString("{}")
	case bytes.HasPrefix(line, []byte(`{"push"`)):
		if bytes.Contains(line, eventName) {
			c.take(line, now)
		} else {
			c.all.note(string(line[:min(len(line), 100)]))
		}
	case bytes.Contains(line, []byte(`"error"`)):
		c.all.note(string(line[:min(len(line), 100)]))
	case bytes.HasPrefix(line, []byte(`{"id":2`)):
		c.begin()
	}
}

// begin is called when the feed starts to arrive.
func (c *client) begin() {
	c.attempts = 0
	if c.ready.CompareAndSwap(false, true) {
		c.all.signedIn.Add(1)
		c.acknowledgedAt = time.Now().UnixNano() - rand.Int64N(int64(receivedEvery)) // so that clients do not send at the same time
	}
}

// take checks the position of a message in the sequence and measures its latency.
func (c *client) take(body []byte, now int64) {
	if !c.ready.Load() {
		c.all.early.Add(1)
	}
	seq, prev := number(body, bytes.Index(body, seqName)+len(seqName)), number(body, bytes.LastIndex(body, prevName)+len(prevName))
	last := c.last.Load()
	switch {
	case seq <= last:
		c.all.repeated.Add(1)
	case prev > last:
		c.all.lost.Add(prev - last)
		c.all.gaps.Add(1)
	case prev < last:
		c.all.note("prev_seq below the last seq")
	}
	if seq > last {
		c.last.Store(seq)
	}
	if sent := sentAt(body); sent > 0 {
		c.all.measure(c.shard, sent, now)
	}
	if c.target >= 0 {
		c.caughtUp(now)
	}
}

func (c *client) caughtUp(now int64) {
	if c.target >= 0 && c.last.Load() >= c.target {
		c.target = -1
		c.all.resumed(now)
	}
}

func (c *client) acknowledge(conn *gws.Conn, now int64) {
	if last := c.last.Load(); now-c.acknowledgedAt >= int64(receivedEvery) && last > c.acknowledged {
		c.acknowledged, c.acknowledgedAt = last, now
		_ = conn.WriteString(fmt.Sprintf(`{"type":"received","seq":%d}`, last))
	}
}

// sentAt is the time of the producer's clock in nanoseconds, which is the last part of the event id.
func sentAt(body []byte) int64 {
	start := bytes.Index(body, eventName)
	if start < 0 {
		return 0
	}
	id := body[start+len(eventName):]
	end := bytes.IndexByte(id, '"')
	if end < 0 {
		return 0
	}
	return number(id, bytes.LastIndexByte(id[:end], ':')+1)
}

func number(body []byte, at int) int64 {
	var value int64
	for ; at < len(body) && body[at] >= '0' && body[at] <= '9'; at++ {
		value = value*10 + int64(body[at]-'0')
	}
	return value
}

func kindOf(err error) string {
	text := err.Error()
	if at := strings.LastIndex(text, ": "); at >= 0 {
		return text[at+2:]
	}
	return text
}
