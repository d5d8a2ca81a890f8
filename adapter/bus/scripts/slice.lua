-- Read a part of a large entry, so that none of it is sent whole.
-- KEYS  stream
-- ARGV  entry, number of a field (0: all fields), first byte (from 1), bytes, fields at most
-- Returns {name, bytes of the value, start of the value …} of all fields, or a piece of one value.
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
local fields, number, first, count = found and found[2] or {}, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if number > 0 then
  return string.sub(fields[2 * number] or '', first, first + count - 1)
end
local shown = {}
for i = 1, math.min(#fields, 2 * tonumber(ARGV[5])), 2 do
  shown[#shown + 1] = string.sub(fields[i], 1, count)
  shown[#shown + 1] = #fields[i + 1]
  shown[#shown + 1] = string.sub(fields[i + 1], 1, count)
end
return shown
