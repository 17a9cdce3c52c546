// The peer: Centrifugo's engine as a library, fed from a Kafka topic.
//
// Usage: centrifuge BROKER TOPIC PORT
//
// Each tenant is a channel with history and recovery. The value of the record is published unchanged.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/centrifugal/centrifuge"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	historyMessages = 10_000 // per tenant, as this project's gateway keeps
	historyAge      = 5 * time.Minute
	fetchWait       = 100 * time.Millisecond
)

func main() {
	broker, topic, port := os.Args[1], os.Args[2], os.Args[3]
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelError, LogHandler: func(e centrifuge.LogEntry) {
		log.Println(e.Message, e.Fields)
	}})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnect(func(client *centrifuge.Client) {
		client.OnSubscribe(func(_ centrifuge.SubscribeEvent, answer centrifuge.SubscribeCallback) {
			options := centrifuge.SubscribeOptions{EnableRecovery: true, EnablePositioning: true}
			answer(centrifuge.SubscribeReply{Options: options}, nil)
		})
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	sockets := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{})
	http.HandleFunc("/connection/websocket", func(w http.ResponseWriter, r *http.Request) {
		known := centrifuge.SetCredentials(r.Context(), &centrifuge.Credentials{UserID: "viewer"})
		sockets.ServeHTTP(w, r.WithContext(known))
	})
	http.HandleFunc("/readyz", func(http.ResponseWriter, *http.Request) {})
	consumer, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.FetchMaxWait(fetchWait),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil)) }()
	for {
		consumer.PollFetches(context.Background()).EachRecord(func(record *kgo.Record) { publish(node, record) })
	}
}

func publish(node *centrifuge.Node, record *kgo.Record) {
	var key struct {
		Tenant int `json:"tenant_id"`
	}
	if err := json.Unmarshal(record.Key, &key); err != nil {
		log.Fatal(err)
	}
	history := centrifuge.WithHistory(historyMessages, historyAge)
	if _, err := node.Publish("t"+strconv.Itoa(key.Tenant), record.Value, history); err != nil {
		log.Println(err)
	}
}
