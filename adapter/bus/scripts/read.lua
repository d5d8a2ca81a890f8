-- Read entries for a consumer group, and look at each before it is sent: a large one goes without its weight.
-- A former lease holder reads nothing new: its successor would not know of it, and send what follows first.
-- KEYS  stream, fence
-- ARGV  epoch, holder ('': anybody may read), group, consumer, entries at most, bytes to look at (the entry that reaches them is the last),
--       bytes of an entry that goes whole, bytes of a field of a larger one, names of the fields that go then
--       (msgpack), id … (none: new entries)
-- Returns {rows, last id that the group has read}; the id is '' if there are rows.
-- A row is {id, bytes, whole: 1 or 0, {field, value …}}; an entry that was deleted has no fields.
local group, consumer = ARGV[3], ARGV[4]
local most, budget, whole, clip = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local wanted = {}
for _, name in ipairs(cmsgpack.unpack(ARGV[9])) do wanted[name] = true end
local MAX_KEPT = 64 -- names and values of a large entry: a name may stand in it any number of times
local rows, looked = {}, 0

local function add(id, fields)
  local size, kept, is_whole = 0, fields, 1
  for i = 1, #fields do size = size + #fields[i] end
  if size > whole then
    kept, is_whole = {}, 0
    for i = 1, #fields, 2 do
      if wanted[fields[i]] and #kept < MAX_KEPT then
        kept[#kept + 1] = fields[i]
        kept[#kept + 1] = string.sub(fields[i + 1], 1, clip)
      end
    end
  end
  rows[#rows + 1] = { id, size, is_whole, kept }
  looked = looked + size
end

if #ARGV > 9 then
  for i = 10, #ARGV do
    if #rows >= most or looked >= budget then break end
    local found = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i])[1]
    add(ARGV[i], found and found[2] or {})
  end
  return { rows, '' }
end
if ARGV[2] ~= '' then
  local refused = fence(KEYS[2], tonumber(ARGV[1]), ARGV[2])
  if refused then return refused end
end
while #rows < most and looked < budget do
  local reply = redis.pcall('XREADGROUP', 'GROUP', group, consumer, 'COUNT', 1, 'STREAMS', KEYS[1], '>')
  if not reply then break end
  if reply.err then
    if #rows == 0 then return reply end
    break
  end
  local entry = reply[1][2][1]
  add(entry[1], entry[2] or {})
end
if #rows > 0 then return { rows, '' } end
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local one = described(flat)
  if one['name'] == group then return { rows, one['last-delivered-id'] } end
end
return { rows, '' }
