-- Count the entries that a group never read and that stand no more: XADD with MAXLEN may trim them.
-- KEYS  fence, stream, accounts      ARGV  epoch, holder, group
-- Returns how many were removed since the last look, as far as Redis 7 counts: it numbers the entries that were
-- ever added, and those that the group has read. Trimming removes the oldest ones. Unread ones are therefore gone
-- only where nothing stands that the group has read.
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end

if redis.call('TYPE', KEYS[2]).ok ~= 'stream' then return 0 end
local stream, group = described(redis.call('XINFO', 'STREAM', KEYS[2])), nil
for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
  local one = described(flat)
  if one['name'] == ARGV[3] then group = one end
end
if not group or not stream['entries-added'] then return 0 end

local gone = stream['entries-added'] - stream['length']
local known = tonumber(redis.call('HGET', KEYS[3], 'gone') or '-1')
redis.call('HSET', KEYS[3], 'gone', string.format('%.0f', gone))
local last, first = group['last-delivered-id'], stream['first-entry']
if first and not before(last, first[1]) then return 0 end
-- A group that has read nothing has no number in some versions. Before the first look nothing is known of it.
local read = tonumber(group['entries-read']) or (last == '0-0' and known) or -1
if read < 0 then return 0 end
return math.max(0, gone - math.max(read, known))
