// As much of Redis as a worker needs: commands as words, answers as strings, int64, []any and nil.
// With a client library the words stay the same: rdb.Do(ctx, "XREADGROUP", …) in go-redis, conn.Do in redigo.
package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Longer than any read blocks.
const patience = 5 * time.Second

// Redis is one connection. After an error that is no Error it is of no use any more.
type Redis struct {
	conn net.Conn
	in   *bufio.Reader
}

// Error is what Redis answers instead of a result.
type Error string

func (e Error) Error() string { return string(e) }

// GroupIsGone says whether the group, or the stream with it, has to be made again.
func (e Error) GroupIsGone() bool {
	return strings.HasPrefix(string(e), "NOGROUP") || strings.HasPrefix(string(e), "UNBLOCKED")
}

// Dial opens redis://user:password@host:port/db, rediss:// the same with TLS, or unix:///path.
func Dial(address string) (*Redis, error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	host := at.Host
	if at.Port() == "" {
		host += ":6379"
	}
	dialer := net.Dialer{Timeout: patience}
	var conn net.Conn
	switch at.Scheme {
	case "redis":
		conn, err = dialer.Dial("tcp", host)
	case "rediss":
		conn, err = tls.DialWithDialer(&dialer, "tcp", host, nil)
	case "unix":
		conn, err = dialer.Dial("unix", at.Path)
	default:
		err = fmt.Errorf("REDIS_URL begins with redis://, rediss:// or unix://, not with %s://", at.Scheme)
	}
	if err != nil {
		return nil, err
	}
	redis := &Redis{conn, bufio.NewReader(conn)}
	if password, given := at.User.Password(); given {
		user := at.User.Username()
		if user == "" {
			user = "default"
		}
		_, err = redis.Do("AUTH", user, password)
	}
	if db := strings.Trim(at.Path, "/"); err == nil && db != "" && at.Scheme != "unix" {
		_, err = redis.Do("SELECT", db)
	}
	if err != nil {
		redis.Close()
		return nil, err
	}
	return redis, nil
}

// Close ends the connection.
func (r *Redis) Close() { r.conn.Close() }

// Do sends one command and waits for its answer.
func (r *Redis) Do(words ...string) (any, error) {
	if err := r.send(words); err != nil {
		return nil, err
	}
	return r.answer()
}

// Together does all of these or none.
func (r *Redis) Together(commands ...[]string) error {
	whole := append(append([][]string{{"MULTI"}}, commands...), []string{"EXEC"})
	if err := r.send(whole...); err != nil {
		return err
	}
	var refused error
	for range whole {
		answer, err := r.answer()
		var answered Error
		if err != nil && !errors.As(err, &answered) {
			return err
		}
		for _, each := range append(list(answer), err) {
			if wrong, is := each.(Error); is && refused == nil {
				refused = wrong
			}
		}
	}
	return refused
}

func (r *Redis) send(commands ...[]string) error {
	var text strings.Builder
	for _, words := range commands {
		fmt.Fprintf(&text, "*%d\r\n", len(words))
		for _, word := range words {
			fmt.Fprintf(&text, "$%d\r\n%s\r\n", len(word), word)
		}
	}
	r.conn.SetDeadline(time.Now().Add(patience))
	_, err := io.WriteString(r.conn, text.String())
	return err
}

func (r *Redis) answer() (any, error) {
	line, err := r.in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	kind, rest := line[0], strings.TrimRight(line[1:], "\r\n")
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return nil, Error(rest)
	case ':':
		return strconv.ParseInt(rest, 10, 64)
	}
	size, err := strconv.Atoi(rest)
	if err != nil || (kind != '$' && kind != '*') {
		return nil, fmt.Errorf("this is not Redis: %q", line)
	}
	if size < 0 {
		return nil, nil
	}
	if kind == '$' {
		text := make([]byte, size+2)
		_, err = io.ReadFull(r.in, text)
		return string(text[:size]), err
	}
	items := make([]any, size)
	for n := range items {
		item, err := r.answer()
		var refused Error
		if errors.As(err, &refused) {
			item = refused // one of a transaction's answers
		} else if err != nil {
			return nil, err
		}
		items[n] = item
	}
	return items, nil
}

// list is what an answer lists; nothing if it is none.
func list(answer any) []any {
	items, _ := answer.([]any)
	return items
}

// onlyStream is the entries of the one stream that was asked for.
func onlyStream(answer any) []any {
	if streams := list(answer); len(streams) > 0 {
		return list(list(streams[0])[1])
	}
	return nil
}

// fieldsOf turns names and values in turn into a map.
func fieldsOf(flat any) map[string]string {
	fields, items := map[string]string{}, list(flat)
	for n := 0; n+1 < len(items); n += 2 {
		fields[items[n].(string)], _ = items[n+1].(string)
	}
	return fields
}
