-- Count on from the number that readers know, after a server came back without its tail and has been given
-- all that is kept of it: `seq` shows what is lost as a hole.
-- KEYS  fence, seq hash, late hash      ARGV  epoch, holder, account, live events
-- Returns the live events that the server knew, see append.lua.
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local seq = tonumber(redis.call('HGET', KEYS[2], ARGV[3]) or '0')
local late = tonumber(redis.call('HGET', KEYS[3], ARGV[3]) or '0')
local live = math.max(0, seq - late)
if live < tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[2], ARGV[3], string.format('%.0f', tonumber(ARGV[4]) + late))
end
return live
