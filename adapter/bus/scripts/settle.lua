-- Settle a request: ledger, result, dead letter and XACK in one step. Idempotent.
-- KEYS  fence, ledger entry, outbound, results, dead, default results, answers,
--       seq hash, late hash, seen (newer), seen (older), inbound, hash of the result streams of workers,
--       letters of the adapter
-- ARGV  msgpack [epoch, holder, group, entry, ledger TTL in seconds (0: no ledger entry),
--                TTL of the result stream in seconds (0: none), its approximate MAXLEN,
--                fields of the result, fields of the dead letter or [], digest of the request,
--                fields that the ledger keeps, bytes of the result's answer (0: small), bytes of all answers,
--                event of what was sent: [] or [account, id, type, time, chat, sender, self, text, body],
--                result streams of workers at most]
-- Results with large answers are few: beyond the bytes of all answers the oldest such results are deleted.
local epoch, holder, group, entry, ledger_ttl, results_ttl, maxlen, result, dead, digest, remembered, size, limit, sent,
  most_streams =
  unpack(cmsgpack.unpack(ARGV[1]))
-- Seconds that the result stream of a rejected request stays, if it was made for it.
local REJECTED_TTL = 3600
local refused = fence(KEYS[1], epoch, holder)
if refused then return refused end
local pending = redis.pcall('XPENDING', KEYS[3], group, entry, entry, 1)
if pending.err or #pending == 0 then
  local known = redis.call('HMGET', KEYS[2], 'state', 'entry')
  -- The entry is settled already, or Redis has lost the group. Only a ledger entry can tell them
  -- apart, and only a request with a ledger entry may have been sent.
  if ledger_ttl == 0 or (known[1] == 'done' and known[2] == entry) then return 0 end
end
local results = KEYS[4]
if results_ttl > 0 then
  -- The worker chose this key. If it is no stream, or there are too many, the result goes to the default stream.
  local kind = redis.call('TYPE', results).ok
  local is_refused = kind == 'none' and redis.call('HLEN', KEYS[13]) >= most_streams
  if is_refused or (kind ~= 'stream' and kind ~= 'none') then results, results_ttl = KEYS[6], 0 end
end
for _, key in ipairs({ KEYS[5], KEYS[6], #sent > 0 and KEYS[12] or nil }) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'stream' and kind ~= 'none' then return redis.error_reply('WRONGTYPE ' .. key .. ' is no stream') end
end
-- Redis undoes nothing if a later command fails: an XADD is refused where the last id is used up. What can fail
-- comes first, and the XACK last.
if #dead > 0 then redis.call('HSET', KEYS[14], redis.call('XADD', KEYS[5], '*', unpack(dead)), 1) end
local added
if results_ttl > 0 then
  added = redis.call('XADD', results, 'MAXLEN', '~', maxlen, '*', unpack(result))
  -- A stream that was made for a rejected request alone ends soon.
  if #dead == 0 then
    redis.call('EXPIRE', results, results_ttl)
  elseif redis.call('TTL', results) < 0 then
    redis.call('EXPIRE', results, REJECTED_TTL)
  end
  redis.call('HSET', KEYS[13], results, redis.call('TTL', results))
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
  local tail = redis.call('HINCRBY', KEYS[7], 'tail', 1)
  redis.call('HSET', KEYS[7], tail, size .. ' ' .. added .. ' ' .. results)
  local total = redis.call('HINCRBY', KEYS[7], 'bytes', size)
  while total > limit do
    local head = redis.call('HINCRBY', KEYS[7], 'head', 1)
    local row = redis.call('HGET', KEYS[7], head)
    if not row then break end
    local bytes, id, stream = string.match(row, '^(%d+) (%S+) (.*)$')
    if redis.call('TYPE', stream).ok == 'stream' then redis.call('XDEL', stream, id) end
    redis.call('HDEL', KEYS[7], head)
    total = redis.call('HINCRBY', KEYS[7], 'bytes', -tonumber(bytes))
  end
end
if #sent > 0 and redis.call('SISMEMBER', KEYS[10], sent[2]) == 0 and redis.call('SISMEMBER', KEYS[11], sent[2]) == 0 then
  -- It counts as late: the publisher of events does not know of it, and must not take it for one of its own.
  local seq = redis.call('HINCRBY', KEYS[8], sent[1], 1)
  redis.call('HINCRBY', KEYS[9], sent[1], 1)
  redis.call('SADD', KEYS[10], sent[2])
  redis.call('XADD', KEYS[12], '*', 'v', '1', 'id', sent[2], 'type', sent[3], 'time', sent[4], 'account', sent[1],
    'epoch', epoch, 'seq', string.format('%.0f', seq), 'chat', sent[5], 'sender', sent[6], 'self', sent[7],
    'text', sent[8], 'body', sent[9])
end
redis.pcall('XACK', KEYS[3], group, entry)
return 1
