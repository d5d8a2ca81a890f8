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
-- Return an error that names the first key of another type, nil if there is none. Redis undoes nothing if a later
-- command fails: a script that writes twice looks first. A user that may not ask gets the error of the command.
local function foreign(kind, ...)
  for _, key in ipairs({ ... }) do
    local actual = redis.pcall('TYPE', key).ok or 'none'
    if actual ~= kind and actual ~= 'none' then return redis.error_reply('WRONGTYPE ' .. key .. ' is no ' .. kind) end
  end
end
