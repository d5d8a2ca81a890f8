-- Settle a request: ledger, result and XACK in one step. Idempotent.
-- KEYS  fence, ledger entry, outbound, results, default results, answers,
--       seq hash, late hash, seen (newer), seen (older), inbound, hash of the result streams of workers
-- ARGV  msgpack [epoch, holder, group, entry, ledger TTL in seconds (0: no ledger entry),
--                TTL of the result stream of a worker in seconds, its approximate MAXLEN,
--                fields of the result, digest of the request,
--                fields that the ledger keeps, bytes of the result's answer (0: small), bytes of all answers,
--                event of what was sent: [] or [account, id, type, time, chat, sender, self, text, body],
--                result streams of workers at most]
-- Results with large answers are few: beyond the bytes of all answers the oldest such results are deleted.
local epoch, holder, group, entry, ledger_ttl, results_ttl, maxlen, result, digest, remembered, size, limit, sent,
  most_streams =
  unpack(cmsgpack.unpack(ARGV[1]))
local refused = fence(KEYS[1], epoch, holder)
if refused then return refused end
local wrong = foreign('stream', KEYS[5], KEYS[11]) or foreign('hash', KEYS[2], KEYS[6], KEYS[7], KEYS[8], KEYS[12])
  or foreign('set', KEYS[9], KEYS[10])
if wrong then return wrong end
local pending = redis.pcall('XPENDING', KEYS[3], group, entry, entry, 1)
if pending.err or #pending == 0 then
  local known = redis.call('HMGET', KEYS[2], 'state', 'entry')
  -- The entry is settled already, or Redis has lost the group. Only a ledger entry can tell them
  -- apart, and only a request with a ledger entry may have been sent.
  if ledger_ttl == 0 or (known[1] == 'done' and known[2] == entry) then return 0 end
end
local results, is_own = result_stream(KEYS[4], KEYS[5], KEYS[12], most_streams)
-- Redis undoes nothing if a later command fails: an XADD is refused where the last id is used up. What can fail
-- comes first, and the XACK last.
local added
if is_own then
  added = redis.call('XADD', results, 'MAXLEN', '~', maxlen, '*', unpack(result))
  redis.call('EXPIRE', results, results_ttl)
  redis.call('HSET', KEYS[12], results, redis.call('TTL', results))
else
  added = redis.call('XADD', results, '*', unpack(result))
end
if ledger_ttl > 0 then
  redis.call('HSET', KEYS[2], 'state', 'done', 'entry', entry, 'result', cmsgpack.pack(remembered),
    'digest', digest, 'results', KEYS[4])
  redis.call('HDEL', KEYS[2], 'token', 'sent', 'messages', 'total', 'network')
  redis.call('EXPIRE', KEYS[2], ledger_ttl)
end
if size > 0 then
  -- A list in a hash: `tail` and `head` number its rows, `bytes` is their sum.
  local tail = redis.call('HINCRBY', KEYS[6], 'tail', 1)
  redis.call('HSET', KEYS[6], tail, size .. ' ' .. added .. ' ' .. results)
  local total = redis.call('HINCRBY', KEYS[6], 'bytes', size)
  while total > limit do
    local head = redis.call('HINCRBY', KEYS[6], 'head', 1)
    local row = redis.call('HGET', KEYS[6], head)
    if not row then break end
    local bytes, id, stream = string.match(row, '^(%d+) (%S+) (.*)$')
    if redis.call('TYPE', stream).ok == 'stream' then redis.call('XDEL', stream, id) end
    redis.call('HDEL', KEYS[6], head)
    total = redis.call('HINCRBY', KEYS[6], 'bytes', -tonumber(bytes))
  end
end
if #sent > 0 and redis.call('SISMEMBER', KEYS[9], sent[2]) == 0 and redis.call('SISMEMBER', KEYS[10], sent[2]) == 0 then
  -- It counts as late: the publisher of events does not know of it, and must not take it for one of its own.
  local seq = redis.call('HINCRBY', KEYS[7], sent[1], 1)
  redis.call('HINCRBY', KEYS[8], sent[1], 1)
  redis.call('SADD', KEYS[9], sent[2])
  redis.call('XADD', KEYS[11], '*', 'v', '1', 'id', sent[2], 'type', sent[3], 'time', sent[4], 'account', sent[1],
    'epoch', epoch, 'seq', string.format('%.0f', seq), 'chat', sent[5], 'sender', sent[6], 'self', sent[7],
    'text', sent[8], 'body', sent[9])
end
redis.pcall('XACK', KEYS[3], group, entry)
return 1
