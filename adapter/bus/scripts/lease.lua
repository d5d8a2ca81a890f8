-- The lease: one holder at a time, a rising epoch.
-- KEYS  fence, lease      ARGV  action, holder, milliseconds
-- Returns for acquire and renew the epoch, or minus the milliseconds until the lease ends; for raise the next
-- epoch; for release 0.
local action, holder, ttl = ARGV[1], ARGV[2], ARGV[3]
local owner = redis.call('GET', KEYS[2])
if action == 'release' then
  if owner == holder then redis.call('DEL', KEYS[2]) end
  return 0
end
if owner and owner ~= holder then
  return -math.max(1, redis.call('PTTL', KEYS[2]))
end
local known = redis.call('HMGET', KEYS[1], 'epoch', 'holder')
local mine = known[2] == holder
if action == 'renew' and known[1] and not mine then return -1 end
redis.call('SET', KEYS[2], holder, 'PX', ttl)
if action == 'raise' or (action == 'acquire' and not mine) then
  redis.call('HSET', KEYS[1], 'holder', holder)
  return redis.call('HINCRBY', KEYS[1], 'epoch', 1)
end
return tonumber(known[1] or '0')
