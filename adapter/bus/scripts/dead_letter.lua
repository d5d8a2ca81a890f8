-- Acknowledge a pending entry and append its dead letter, in one step.
-- KEYS  fence, stream, dead
-- ARGV  epoch, holder, group, entry, field, value … (none: the entry was deleted, acknowledge it only)
-- Returns 1, or 0 if no dead letter was made: the entry is not pending any more, or was deleted.
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
if redis.call('XACK', KEYS[2], ARGV[3], ARGV[4]) == 0 or #ARGV == 4 then return 0 end
redis.call('XADD', KEYS[3], '*', unpack(ARGV, 5))
return 1
