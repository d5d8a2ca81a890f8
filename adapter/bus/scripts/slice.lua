-- Read a piece of one value of a large entry, so that none of it is sent whole.
-- KEYS  stream      ARGV  entry, number of the field, first byte (from 1), bytes
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
local fields, number, first, count = found and found[2] or {}, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
return string.sub(fields[2 * number] or '', first, first + count - 1)
