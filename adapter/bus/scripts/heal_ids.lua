-- Heal a stream whose last id leaves no room for others: put it aside, and begin it again with what is needed.
-- Redis lets no last id fall below that of an entry that was deleted: only a new stream has lower ids.
-- KEYS  fence, stream, aside, letters of the adapter (of the stream of dead letters alone)
-- ARGV  epoch, holder, limit (an id), TTL of the stream that is put aside, in seconds
-- Returns {entries taken over, entries lost}, or nothing where the last id is within the limit.
-- Needed is what a group has not acknowledged; everything, if the stream has no group. An entry within the limit
-- keeps its id, and stays pending. The others get ids of now, and the id under which the ledger knows them.
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local wrong = #KEYS > 3 and foreign('hash', KEYS[4])
if wrong then return wrong end
local key, aside, limit = KEYS[2], KEYS[3], ARGV[3]
local LAST_ID = '18446744073709551615-18446744073709551615'
local MAX_FIELDS = 7000 -- names and values that Lua can pass to one command

if redis.call('EXISTS', key) == 0 then return false end
if not before(limit, described(redis.call('XINFO', 'STREAM', key))['last-generated-id']) then return false end
redis.call('RENAME', key, aside)
redis.call('EXPIRE', aside, ARGV[4])
local groups = {}
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', aside)) do
  local group = described(flat)
  groups[#groups + 1] = group
  redis.call('XGROUP', 'CREATE', key, group['name'], '0', 'MKSTREAM')
  group.delivered = '0-0'
end

-- The new stream has lower ids: only those of letters that it takes over are the adapter's.
local own = {}
if #KEYS > 3 then
  for _, id in ipairs(redis.call('HKEYS', KEYS[4])) do own[id] = true end
  redis.call('DEL', KEYS[4])
end

local taken, lost = 0, 0
local function add(id, old, fields)
  local new = redis.call('XADD', key, id, unpack(fields))
  if own[old] then redis.call('HSET', KEYS[4], new, 1) end
end
local function take(entry)
  local id, fields, needed, owners = entry[1], entry[2], #groups == 0, {}
  for _, group in ipairs(groups) do
    local pending = redis.call('XPENDING', aside, group['name'], id, id, 1)[1]
    if pending then owners[#owners + 1] = { group, pending[2] } end
    needed = needed or pending or before(group['last-delivered-id'], id)
    if not before(limit, id) and not before(group['last-delivered-id'], id) then group.delivered = id end
  end
  if not needed then return end
  redis.call('XDEL', aside, id)
  if #fields > MAX_FIELDS then
    lost = lost + 1
    return
  end
  taken = taken + 1
  if not before(limit, id) then
    add(id, id, fields)
    for _, owner in ipairs(owners) do
      redis.call('XCLAIM', key, owner[1]['name'], owner[2], 0, id, 'FORCE', 'JUSTID')
    end
    return
  end
  local has_id = false
  for i = 1, #fields, 2 do has_id = has_id or fields[i] == 'id' end
  if not has_id then
    fields[#fields + 1] = 'id'
    fields[#fields + 1] = 'entry:' .. id
  end
  add('*', id, fields)
end

local after = '-'
while true do
  local entry = redis.call('XRANGE', aside, after, '+', 'COUNT', 1)[1]
  if not entry then break end
  take(entry)
  if entry[1] == LAST_ID then break end
  after = '(' .. entry[1]
end
for _, group in ipairs(groups) do redis.call('XGROUP', 'SETID', key, group['name'], group.delivered) end
return { taken, lost }
