-- Record a request before its first byte is sent.
-- KEYS  fence, ledger entry
-- ARGV  epoch, holder, entry, token, message ids, parts, take over (1: also from another token), TTL in seconds,
--       digest, results
-- Returns {'started' | 'in doubt', results, attempts, sent, message ids, the network's id of the first part},
-- {'completed', results, result}, or {'conflict'} if the id belongs to a request with another digest.
-- `token` names one call: a repeat after a lost reply gets the same answer and counts no attempt.
-- `results` is the stream of the first asker, "" in an entry of an earlier version.
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local known = redis.call('HMGET', KEYS[2], 'state', 'token', 'attempts', 'sent', 'messages', 'result', 'digest',
  'results', 'network')
local state, token, digest, results = known[1], known[2], known[7], known[8] or ''
if state and digest and digest ~= ARGV[9] then return { 'conflict' } end
if state == 'done' then return { 'completed', results, known[6] } end
if not state then
  results = ARGV[10]
  redis.call('HSET', KEYS[2], 'state', 'begun', 'entry', ARGV[3], 'token', ARGV[4], 'attempts', 1,
    'sent', 0, 'messages', ARGV[5], 'total', ARGV[6], 'digest', ARGV[9], 'results', results)
elseif token ~= ARGV[4] then
  -- No token: the request was suspended between two parts, so no attempt is in doubt.
  if token and ARGV[7] ~= '1' then return { 'in doubt', results, known[3], known[4], known[5], known[9] or '' } end
  redis.call('HSET', KEYS[2], 'token', ARGV[4], 'entry', ARGV[3])
  if token then redis.call('HINCRBY', KEYS[2], 'attempts', 1) end
end
redis.call('EXPIRE', KEYS[2], ARGV[8])
local now = redis.call('HMGET', KEYS[2], 'attempts', 'sent', 'messages')
return { 'started', results, now[1], now[2], now[3], known[9] or '' }
