-- Write down that a request is about to be sent, before its first byte leaves.
-- KEYS  fence, ledger entry
-- ARGV  epoch, holder, entry, token, message ids, parts, again (1: an unfinished one is taken up), seconds kept
-- Gives ['new', attempts, sent, message ids] | ['begun', attempts, sent, message ids] | ['done', result].
-- `token` names this very call: asking twice because a reply was lost is answered as the first time.
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local had = redis.call('HMGET', KEYS[2], 'state', 'token', 'attempts', 'sent', 'messages', 'result')
if had[1] == 'done' then return { 'done', had[6] } end
local answer = 'new'
if not had[1] then
  redis.call('HSET', KEYS[2], 'state', 'begun', 'entry', ARGV[3], 'token', ARGV[4], 'attempts', 1,
    'sent', 0, 'messages', ARGV[5], 'total', ARGV[6])
elseif had[2] ~= ARGV[4] then
  -- Without a token it was left between two parts, on purpose.
  if had[2] and ARGV[7] ~= '1' then return { 'begun', had[3], had[4], had[5] } end
  redis.call('HSET', KEYS[2], 'token', ARGV[4], 'entry', ARGV[3])
  if had[2] then redis.call('HINCRBY', KEYS[2], 'attempts', 1) end
end
redis.call('EXPIRE', KEYS[2], ARGV[8])
local now = redis.call('HMGET', KEYS[2], 'attempts', 'sent', 'messages')
return { answer, now[1], now[2], now[3] }
