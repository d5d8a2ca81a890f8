-- The lease: one holder at a time, a rising epoch.
-- KEYS  fence, lease      ARGV  action, holder, milliseconds, folder ('': none), complete, connected ('': none)
-- `folder`: the id of a state folder whose lock the caller has: a lease that names it is the caller's own.
-- `complete`, `connected`: up to when the holder lacked no event for certain, and was connected, in
-- milliseconds of this server's clock.
-- Returns { answer, milliseconds of this clock }: for acquire and renew the epoch, or minus the milliseconds
-- until the lease ends; for raise the next epoch; for release 0. For heard it returns how many milliseconds ago
-- complete and connected were, {} if no holder has said it.
local action, holder, ttl, folder, complete, connected = unpack(ARGV)
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local owner = redis.call('GET', KEYS[2])
if action == 'heard' then
  local times = redis.call('HMGET', KEYS[1], 'complete', 'connected')
  if not (times[1] and times[2]) then return {} end
  return { math.max(0, now() - tonumber(times[1])), math.max(0, now() - tonumber(times[2])) }
end
local function keep_heard()
  if complete ~= '' then
    redis.call('HSET', KEYS[1], 'complete', complete, 'connected', connected)
  end
end
if action == 'release' then
  if owner == holder then
    redis.call('DEL', KEYS[2])
    keep_heard()
  end
  return { 0, now() }
end
local is_own = owner and folder ~= '' and string.find(owner, folder, 1, true)
if owner and owner ~= holder and not (action == 'acquire' and is_own) then
  return { -math.max(1, redis.call('PTTL', KEYS[2])), now() }
end
local known = redis.call('HMGET', KEYS[1], 'epoch', 'holder')
local mine = known[2] == holder
if action == 'renew' and known[1] and not mine then return { -1, now() } end
redis.call('SET', KEYS[2], holder, 'PX', ttl)
if action ~= 'acquire' then keep_heard() end
if action == 'raise' or (action == 'acquire' and not mine) then
  redis.call('HSET', KEYS[1], 'holder', holder)
  return { redis.call('HINCRBY', KEYS[1], 'epoch', 1), now() }
end
return { tonumber(known[1] or '0'), now() }
