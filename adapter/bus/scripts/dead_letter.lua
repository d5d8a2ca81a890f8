-- Acknowledge a pending entry and append its dead letter, in one step.
-- KEYS  fence, stream, dead, letters of the adapter
-- ARGV  epoch, holder, group, entry, field, value … (none: the entry was deleted, acknowledge it only)
-- Returns 1, or 0 if no dead letter was made: the entry is not pending any more, or was deleted.
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local wrong = foreign('hash', KEYS[4])
if wrong then return wrong end
if #ARGV == 4 then
  redis.call('XACK', KEYS[2], ARGV[3], ARGV[4])
  return 0
end
if #redis.call('XPENDING', KEYS[2], ARGV[3], ARGV[4], ARGV[4], 1) == 0 then return 0 end
-- Redis undoes nothing if a later command fails: the letter comes first.
redis.call('HSET', KEYS[4], redis.call('XADD', KEYS[3], '*', unpack(ARGV, 5)), 1)
redis.call('XACK', KEYS[2], ARGV[3], ARGV[4])
return 1
