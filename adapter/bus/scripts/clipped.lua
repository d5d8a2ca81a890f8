-- Read the starts of the fields of entries of any size, so that none is sent whole.
-- KEYS  stream
-- ARGV  bytes of entries to look at (the entry that reaches them is the last), bytes of a name and of a value,
--       fields of an entry at most, id …
-- Returns {{name, bytes of the value, start of the value …} …}; an entry that was deleted has no fields.
local budget, clip, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local rows, looked = {}, 0
for i = 4, #ARGV do
  if looked >= budget then break end
  local found = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
  local fields, shown = found and found[2] or {}, {}
  for n = 1, #fields, 2 do
    looked = looked + #fields[n] + #fields[n + 1]
    if n < 2 * most then
      shown[#shown + 1] = string.sub(fields[n], 1, clip)
      shown[#shown + 1] = #fields[n + 1]
      shown[#shown + 1] = string.sub(fields[n + 1], 1, clip)
    end
  end
  rows[#rows + 1] = shown
end
return rows
