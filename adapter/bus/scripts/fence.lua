-- Fencing, in front of every script that writes: refuse an older epoch than the newest one.
-- A Redis that was flushed or rolled back learns the epoch again from the lease holder.
local function fence(key, epoch, holder)
  local known = redis.call('HMGET', key, 'epoch', 'holder')
  local newest = tonumber(known[1] or '0')
  -- The holder's own older epoch is fine: the holder raised it while this call was on its way.
  if newest >= epoch and known[2] ~= holder then
    return redis.error_reply('FENCED epoch ' .. newest .. ' is held by another adapter')
  end
  if newest < epoch then
    redis.call('HSET', key, 'epoch', epoch, 'holder', holder)
  end
  return nil
end
