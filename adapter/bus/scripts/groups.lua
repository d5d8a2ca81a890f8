-- Look at the consumer groups of a stream. Workers choose names of groups and of consumers, of any length.
-- KEYS  stream
-- ARGV  bytes of a name that is sent, groups at most, milliseconds after which an idle consumer counts as gone
-- Returns {{name, consumers, gone ones, pending, last-delivered-id, lag ('': unknown), oldest pending entry} …};
-- a group with a longer name is an empty list.
local found, groups = {}, redis.pcall('XINFO', 'GROUPS', KEYS[1])
if groups.err then return string.find(groups.err, 'no such key', 1, true) and found or groups end
for _, flat in ipairs(groups) do
  if #found >= tonumber(ARGV[2]) then break end
  local group, row = described(flat), {}
  local name = group['name']
  if #name <= tonumber(ARGV[1]) then
    local gone, oldest = 0, ''
    if group['pending'] > 0 then oldest = redis.call('XPENDING', KEYS[1], name, '-', '+', 1)[1][1] end
    if group['consumers'] > 0 then
      for _, one in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], name)) do
        if described(one)['idle'] > tonumber(ARGV[3]) then gone = gone + 1 end
      end
    end
    row = { name, group['consumers'], gone, group['pending'], group['last-delivered-id'], group['lag'] or '', oldest }
  end
  found[#found + 1] = row
end
return found
