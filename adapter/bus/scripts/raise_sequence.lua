-- Skip the numbers of lost events, after a server came back without its tail and has been given all that is
-- kept of it: `seq` shows what is lost as a hole, and gives no number of it again.
-- KEYS  fence, seq hash, late hash      ARGV  epoch, holder, account, seq and live events that were confirmed
-- Returns [numbers skipped, seq, live events], see append.lua.
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local seq = tonumber(redis.call('HGET', KEYS[2], ARGV[3]) or '0')
local live = math.max(0, seq - tonumber(redis.call('HGET', KEYS[3], ARGV[3]) or '0'))
-- A late append that was lost lacks in seq alone, one that was live before and came again late in live alone.
local lost = math.max(0, math.min(tonumber(ARGV[4]) - seq, tonumber(ARGV[5]) - live))
if lost > 0 then
  redis.call('HSET', KEYS[2], ARGV[3], string.format('%.0f', seq + lost))
end
return { lost, seq + lost, live + lost }
