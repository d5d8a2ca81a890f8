// Echo in Go: says every message back where it was said. Nothing but the standard library.
//
// Shows all that a worker promises: a group of its own that heals, what dead peers left is claimed in the
// same loop, the ack leaves with the reply, and the reply's id is made from the event's, so that an event
// handled twice is answered once. Settings: REDIS_URL, QQBUS_PREFIX, and the application's name as argument.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	usage    = "usage: echo [APPLICATION]\nSettings: REDIS_URL, QQBUS_PREFIX, QQBUS_CLAIM_MS (30000)"
	longest  = 2 * time.Second // between two tries to reach Redis
	shortest = 50 * time.Millisecond
)

func main() {
	app := "echo-go"
	if len(os.Args) > 1 {
		app = os.Args[1]
	}
	if app == "--help" || app == "-h" {
		fmt.Println(usage)
		return
	}
	claimMs, err := strconv.Atoi(setting("QQBUS_CLAIM_MS", "30000"))
	if err != nil {
		fmt.Fprintln(os.Stderr, usage)
		os.Exit(2)
	}
	// SIGTERM and SIGINT end it once what is in hand is done.
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()

	prefix := setting("QQBUS_PREFIX", "qq")
	host, _ := os.Hostname()
	chance := make([]byte, 4)
	rand.Read(chance)
	worker := Worker{
		app: app, me: fmt.Sprintf("%s-%d-%x", host, os.Getpid(), chance),
		inbound: prefix + ":inbound", outbound: prefix + ":outbound", claimMs: claimMs,
	}
	fmt.Printf("echo-go reads %s as %s/%s\n", worker.inbound, app, worker.me)
	for wait := shortest; ctx.Err() == nil; {
		began := time.Now()
		if err := worker.connected(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "Redis does not serve:", err)
		}
		if wait *= 2; wait > longest {
			wait = longest
		}
		if time.Since(began) > longest {
			wait = shortest // it served for a while
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// Worker is one consumer of the application's group.
type Worker struct {
	app, me, inbound, outbound string
	claimMs                    int
	bus                        *Redis
}

// connected works until it is to stop, or Redis does not serve any more.
func (w *Worker) connected(ctx context.Context) (err error) {
	if w.bus, err = Dial(setting("REDIS_URL", "redis://127.0.0.1:6379")); err != nil {
		return err
	}
	defer w.bus.Close()
	// A command whose answer is lost is not repeated: what it held is in the own pending list.
	err = w.recover()
	var looked time.Time
	for err == nil && ctx.Err() == nil {
		if time.Since(looked) > time.Duration(w.claimMs/3)*time.Millisecond {
			looked = time.Now()
			err = w.claim()
		}
		if err == nil {
			err = w.read()
		}
		var refused Error
		if errors.As(err, &refused) && refused.GroupIsGone() {
			err = w.recover()
		}
	}
	return err
}

// recover makes the group, fine if it is there, and handles what is pending for this consumer.
func (w *Worker) recover() error {
	_, err := w.bus.Do("XGROUP", "CREATE", w.inbound, w.app, "0", "MKSTREAM")
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return err
	}
	answer, err := w.bus.Do("XREADGROUP", "GROUP", w.app, w.me, "STREAMS", w.inbound, "0")
	if err != nil {
		return err
	}
	return w.each(onlyStream(answer))
}

// claim takes over what nobody has touched for a while: a dead peer left it.
func (w *Worker) claim() error {
	idle := strconv.Itoa(w.claimMs)
	answer, err := w.bus.Do("XAUTOCLAIM", w.inbound, w.app, w.me, idle, "0", "COUNT", "100")
	if err != nil {
		return err
	}
	return w.each(list(list(answer)[1]))
}

func (w *Worker) read() error {
	answer, err := w.bus.Do(
		"XREADGROUP", "GROUP", w.app, w.me, "COUNT", "100", "BLOCK", "500", "STREAMS", w.inbound, ">")
	if err != nil {
		return err
	}
	return w.each(onlyStream(answer))
}

func (w *Worker) each(entries []any) error {
	for _, entry := range entries {
		// An entry that was deleted is nil, or comes without fields.
		if row := list(entry); len(row) == 2 {
			if err := w.handle(row[0].(string), fieldsOf(row[1])); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Worker) handle(entry string, event map[string]string) error {
	if event["self"] != "0" || !strings.HasPrefix(event["type"], "message.") || event["text"] == "" {
		_, err := w.bus.Do("XACK", w.inbound, w.app, entry)
		return err
	}
	// The ack never leaves without the reply.
	return w.bus.Together(
		[]string{"XADD", w.outbound, "*", "to", event["chat"], "text", event["text"],
			"id", w.app + "/" + event["id"], "cause", event["id"]},
		[]string{"XACK", w.inbound, w.app, entry})
}

func setting(name, standard string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return standard
}
