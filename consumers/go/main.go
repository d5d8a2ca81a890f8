// Echo in Go: repeats every message in its chat. The Redis client is redigo.
//
// Shows all that a worker promises: a group of its own that heals, entries of dead peers are claimed in the
// same loop, the ack follows the answer to the reply's XADD, and the reply's id is made from the event's, so
// that an event handled twice is answered once. Settings: REDIS_URL, QQBUS_PREFIX, and the application's name
// as argument.
//
// Build: go mod tidy && go build. With Debian's golang-github-gomodule-redigo-dev and without a module proxy:
// GO111MODULE=off GOPATH=/usr/share/gocode go build -o echo .
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	usage    = "usage: echo [APPLICATION]\nSettings: REDIS_URL, QQBUS_PREFIX, QQBUS_CLAIM_MS (30000)"
	longest  = 2 * time.Second // between two tries to reach Redis
	shortest = 50 * time.Millisecond
	timeout  = 5 * time.Second // of every command; longer than any read blocks
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
	// SIGTERM, SIGINT and SIGHUP end it once what is in hand is done.
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
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
	bus                        redis.Conn
}

// connected works until it is to stop, or Redis does not serve any more.
func (w *Worker) connected(ctx context.Context) (err error) {
	if w.bus, err = dial(setting("REDIS_URL", embeddedURL())); err != nil {
		return err
	}
	defer w.bus.Close()
	// A command whose answer is lost is not repeated: its entries are in the own pending list.
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
		if isGroupGone(err) {
			err = w.recover()
		}
	}
	return err
}

// embeddedURL is the address of the embedded server, which the adapter writes for programs of its user.
func embeddedURL() string {
	state := setting("QQBUS_STATE_DIR", setting("XDG_STATE_HOME", os.Getenv("HOME")+"/.local/state")+"/qqbus")
	if text, err := os.ReadFile(state + "/redis/url"); err == nil {
		return strings.TrimSpace(string(text))
	}
	return "redis://127.0.0.1:6379"
}

// dial opens redis://user:password@host:port/db, rediss:// the same with TLS, or unix:///path.
// Its errors never repeat the address, which may hold a password.
func dial(address string) (redis.Conn, error) {
	limits := []redis.DialOption{
		redis.DialConnectTimeout(timeout), redis.DialReadTimeout(timeout), redis.DialWriteTimeout(timeout)}
	at, err := url.Parse(address)
	if err != nil || at.Opaque != "" {
		return nil, errors.New("REDIS_URL cannot be parsed: give redis://user:password@host:port/db")
	}
	switch at.Scheme {
	case "redis", "rediss":
		return redis.DialURL(address, limits...)
	case "unix":
		if password, given := at.User.Password(); given {
			limits = append(limits, redis.DialUsername(at.User.Username()), redis.DialPassword(password))
		}
		return redis.Dial("unix", at.Path, limits...)
	}
	return nil, fmt.Errorf("REDIS_URL begins with redis://, rediss:// or unix://, not with %s://", at.Scheme)
}

// isGroupGone says whether the group, or the stream with it, has to be made again.
func isGroupGone(err error) bool {
	var refused redis.Error
	return errors.As(err, &refused) &&
		(strings.HasPrefix(string(refused), "NOGROUP") || strings.HasPrefix(string(refused), "UNBLOCKED"))
}

// recover makes the group, fine if it is there, and handles what is pending for this consumer.
func (w *Worker) recover() error {
	_, err := w.bus.Do("XGROUP", "CREATE", w.inbound, w.app, "0", "MKSTREAM")
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return err
	}
	return w.each(onlyStream(w.bus.Do("XREADGROUP", "GROUP", w.app, w.me, "STREAMS", w.inbound, "0")))
}

// claim takes over entries that have been idle for a while: a dead peer left them.
func (w *Worker) claim() error {
	answer, err := redis.Values(w.bus.Do("XAUTOCLAIM", w.inbound, w.app, w.me, w.claimMs, "0", "COUNT", 100))
	if err != nil {
		return err
	}
	return w.each(redis.Values(answer[1], nil))
}

func (w *Worker) read() error {
	answer, err := w.bus.Do(
		"XREADGROUP", "GROUP", w.app, w.me, "COUNT", 100, "BLOCK", 500, "STREAMS", w.inbound, ">")
	return w.each(onlyStream(answer, err))
}

// each handles the entries of an answer.
func (w *Worker) each(entries []interface{}, err error) error {
	for _, entry := range entries {
		// An entry that was deleted is nil, or comes without fields.
		row, _ := redis.Values(entry, nil)
		if len(row) != 2 || row[1] == nil {
			continue
		}
		id, _ := redis.String(row[0], nil)
		event, failed := redis.StringMap(row[1], nil)
		if failed == nil {
			failed = w.handle(id, event)
		}
		if failed != nil {
			return failed
		}
	}
	return err
}

func (w *Worker) handle(entry string, event map[string]string) error {
	if event["self"] == "0" && strings.HasPrefix(event["type"], "message.") && event["text"] != "" {
		_, err := w.bus.Do("XADD", w.outbound, "*", "to", event["chat"], "text", event["text"],
			"id", w.app+"/"+event["id"], "cause", event["id"])
		if err != nil {
			return err // no ack: the entry stays pending, and is handled again
		}
	}
	// After the XADD's own answer: in a MULTI an XADD that fails would leave its XACK done.
	_, err := w.bus.Do("XACK", w.inbound, w.app, entry)
	return err
}

// onlyStream is the entries of the one stream that was asked for; none where nothing came in time.
func onlyStream(answer interface{}, err error) ([]interface{}, error) {
	streams, err := redis.Values(answer, err)
	if len(streams) == 0 || err != nil {
		if errors.Is(err, redis.ErrNil) {
			err = nil
		}
		return nil, err
	}
	stream, err := redis.Values(streams[0], err)
	if err != nil || len(stream) != 2 {
		return nil, err
	}
	return redis.Values(stream[1], nil)
}

func setting(name, standard string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return standard
}
