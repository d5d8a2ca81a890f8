-- Reject entries that are no requests: dead letter, result and XACK of each. Idempotent.
-- KEYS  fence, outbound, dead, default results, hash of the result streams of workers, letters of the adapter,
--       results of each entry …
-- ARGV  epoch, holder, group, TTL of a result stream of a worker in seconds, its approximate MAXLEN,
--       result streams of workers at most,
--       msgpack [entry, fields of the result, fields of the dead letter] of each entry …
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local wrong = foreign('stream', KEYS[3], KEYS[4]) or foreign('hash', KEYS[5], KEYS[6])
if wrong then return wrong end
local outbound, group, ttl, maxlen, most_streams = KEYS[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])

for i = 7, #ARGV do
  local entry, result, letter = unpack(cmsgpack.unpack(ARGV[i]))
  local pending = redis.pcall('XPENDING', outbound, group, entry, entry, 1)
  -- What is not pending is settled already, or Redis has lost the group.
  if not pending.err and #pending > 0 then
    -- Redis undoes nothing if a later command fails: an XADD is refused where the last id is used up. What can
    -- fail comes first, and the XACK last.
    redis.call('HSET', KEYS[6], redis.call('XADD', KEYS[3], '*', unpack(letter)), 1)
    local results, is_own = result_stream(KEYS[i], KEYS[4], KEYS[5], most_streams)
    if is_own then
      redis.call('XADD', results, 'MAXLEN', '~', maxlen, '*', unpack(result))
      -- A stream that was made for a rejected request alone ends soon.
      if redis.call('TTL', results) < 0 then redis.call('EXPIRE', results, ttl) end
      redis.call('HSET', KEYS[5], results, redis.call('TTL', results))
    else
      redis.call('XADD', results, '*', unpack(result))
    end
    redis.call('XACK', outbound, group, entry)
  end
end
return #ARGV - 6
