#!/bin/sh
# Echo in the shell: repeats every message in its chat. Needs redis-cli (or valkey-cli) alone.
#
#   REDIS_URL=redis://127.0.0.1:6379 sh consumers/shell/echo.sh [APPLICATION]
#
# Plain fields suffice: the event's `text` becomes the reply's. The reply's id is made from the event's, so an
# event that is read twice is answered once; an ack follows the answer to its reply's XADD; entries of dead
# peers are claimed in the same loop. Settings: REDIS_URL, QQBUS_PREFIX, QQBUS_CLAIM_MS (30000).

set -u
case "${1-}" in --help | -h) sed -n '2,8s/^# \{0,1\}//p' "$0" && exit 0 ;; esac

application=${1-echo-shell}
prefix=${QQBUS_PREFIX-qq}
claim_ms=${QQBUS_CLAIM_MS-30000}
inbound=$prefix:inbound
consumer=$(uname -n)-$$-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')

cli=$(command -v redis-cli || command -v valkey-cli) || {
  echo "redis-cli is missing: on Debian it is in the package redis-tools" >&2
  exit 2
}

# What stands on a command line every user of the machine can read (ps): the password of REDIS_URL goes into
# the environment, and no command is given it as an argument.
#
# Without REDIS_URL it is that of the embedded server, which the adapter writes for programs of its user.
state=${QQBUS_STATE_DIR:-${XDG_STATE_HOME:-${HOME-}/.local/state}/qqbus}
url=${REDIS_URL:-$(cat "$state/redis/url" 2>/dev/null || echo redis://127.0.0.1:6379)}
scheme=${url%%://*}
rest=${url#*://}
authority=${rest%%/*}
user=
case $authority in
*@*)
  login=${authority%@*}
  rest=${rest#"$login@"}
  # %XX as in every URL. printf is part of the shell: nothing of this is seen either.
  decoded() {
    printf '%s\n' "$1" | LC_ALL=C awk '{
      text = ""
      while (at = index($0, "%")) {
        high = index("0123456789abcdef", tolower(substr($0, at + 1, 1)))
        low = index("0123456789abcdef", tolower(substr($0, at + 2, 1)))
        if (high && low) text = text substr($0, 1, at - 1) sprintf("%c", high * 16 + low - 17)
        else text = text substr($0, 1, at + 2)
        $0 = substr($0, at + 3)
      }
      print text $0
    }'
  }
  user=$(decoded "${login%%:*}")
  case $login in *:*) REDISCLI_AUTH=$(decoded "${login#*:}") && export REDISCLI_AUTH ;; esac
  ;;
esac

# Answers with every text in quotes, which is also how redis-cli reads commands from its standard input.
redis() {
  case $scheme in
  unix) "$cli" -s "$rest" ${user:+--user "$user"} --no-auth-warning --no-raw "$@" ;;
  *) "$cli" -u "$scheme://$rest" ${user:+--user "$user"} --no-auth-warning --no-raw "$@" ;;
  esac
}

# From an answer that lists entries to the commands that answer them. A field's name never looks like an id.
answers='
  function finish() {
    if (event != "") {
      if (kind ~ /^"message\./ && self == "\"0\"" && text != "\"\"")
        print "XADD " outbound " * to " chat " text " text " cause " event " id \"" application "/" substr(event, 2)
      print "XACK " inbound " " application " " entry
    }
    event = kind = self = text = chat = ""
  }
  !/"/ { next }
  { sub(/^[^"]*/, "") }
  value { fields[name] = $0; value = 0
    if (name == "\"id\"") event = $0; if (name == "\"type\"") kind = $0; if (name == "\"self\"") self = $0
    if (name == "\"text\"") text = $0; if (name == "\"chat\"") chat = $0
    next }
  /^"[0-9]+-[0-9]+"$/ { finish(); entry = $0; next }
  entry == "" { next }
  { name = $0; value = 1 }
  END { finish() }
'

# Handle what an answer lists. Fails unless Redis took all of it: what is not acknowledged is still pending.
#
# First the replies, then the acks, and no MULTI round both: an XADD that fails would leave its XACK done. And
# redis-cli connects again by itself and repeats the command whose answer it missed, outside of the transaction.
handle() {
  lines=$(printf '%s\n' "$1" | awk -v application="$application" -v inbound="$inbound" \
    -v outbound="$prefix:outbound" "$answers")
  [ -n "$lines" ] || return 0
  take XADD '^"[0-9]*-[0-9]*"$' && take XACK '^(integer) '
}

# Let Redis do those of the lines that begin with this word. Fails unless each has such an answer, and prints
# the first one that is another.
take() {
  wanted=$(printf '%s\n' "$lines" | grep -c "^$1 ") || return 0
  printed=$(printf '%s\n' "$lines" | grep "^$1 " | redis 2>&1)
  [ "$(printf '%s\n' "$printed" | grep -c "$2")" = "$wanted" ] && return
  printf '%s\n' "$printed" | grep -v "$2" | head -n 1 >&2
  return 1
}

# Ask, and handle the answer. Fails if there was none.
ask() {
  answer=$(redis "$@" 2>&1) || return 1
  case "$answer" in "(error)"* | "Error:"* | "Could not connect"*) return 1 ;; esac
  handle "$answer"
}

stop=0
trap 'stop=1' TERM INT HUP
recovered=0
looked=0
echo "echo-shell reads $inbound as $application/$consumer"
while [ "$stop" = 0 ]; do
  if [ "$recovered" = 0 ]; then
    # An answer may have been lost on the way: its entries are in the own pending list.
    redis XGROUP CREATE "$inbound" "$application" 0 MKSTREAM >/dev/null 2>&1
    ask XREADGROUP GROUP "$application" "$consumer" STREAMS "$inbound" 0 || { sleep 1; continue; }
    recovered=1
  fi
  now=$(date +%s)
  if [ $((now - looked)) -ge $((claim_ms / 3000)) ]; then
    looked=$now
    ask XAUTOCLAIM "$inbound" "$application" "$consumer" "$claim_ms" 0 COUNT 100 || { recovered=0; continue; }
  fi
  ask XREADGROUP GROUP "$application" "$consumer" COUNT 100 BLOCK 500 STREAMS "$inbound" ">" || recovered=0
done
