-- Settle a request: ledger, result, dead letter and XACK in one step. Idempotent.
-- KEYS  fence, ledger entry, outbound, results, dead, default results
-- ARGV  msgpack [epoch, holder, group, entry, ledger TTL in seconds (0: no ledger entry),
--                TTL of the result stream in seconds (0: none), its approximate MAXLEN,
--                fields of the result, fields of the dead letter or [], digest of the request]
local epoch, holder, group, entry, ledger_ttl, results_ttl, maxlen, result, dead, digest =
  unpack(cmsgpack.unpack(ARGV[1]))
local refused = fence(KEYS[1], epoch, holder)
if refused then return refused end
local acked = redis.call('XACK', KEYS[3], group, entry)
if acked == 0 then
  local known = redis.call('HMGET', KEYS[2], 'state', 'entry')
  -- The entry is settled already, or Redis has lost the group. Only a ledger entry can tell them
  -- apart, and only a request with a ledger entry may have been sent.
  if ledger_ttl == 0 or (known[1] == 'done' and known[2] == entry) then return 0 end
end
local results = KEYS[4]
if results_ttl > 0 then
  -- The worker chose this key. If it is no stream, the result goes to the default stream.
  local kind = redis.call('TYPE', results).ok
  if kind ~= 'stream' and kind ~= 'none' then results, results_ttl = KEYS[6], 0 end
end
if ledger_ttl > 0 then
  redis.call('HSET', KEYS[2], 'state', 'done', 'entry', entry, 'result', cmsgpack.pack(result),
    'digest', digest, 'results', KEYS[4])
  redis.call('HDEL', KEYS[2], 'token', 'sent', 'messages', 'total')
  redis.call('EXPIRE', KEYS[2], ledger_ttl)
end
if results_ttl > 0 then
  redis.call('XADD', results, 'MAXLEN', '~', maxlen, '*', unpack(result))
  redis.call('EXPIRE', results, results_ttl)
else
  redis.call('XADD', results, '*', unpack(result))
end
if #dead > 0 then redis.call('XADD', KEYS[5], '*', unpack(dead)) end
return 1
