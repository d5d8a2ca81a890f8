-- Look at keys without their contents: XINFO of a script sends neither the first nor the last entry.
-- KEYS  keys      Returns {type, last id of a stream ('': it is none)} of each.
local found = {}
for i, key in ipairs(KEYS) do
  local kind, last = redis.pcall('TYPE', key).ok or 'none', ''
  if kind == 'stream' then
    local info = redis.call('XINFO', 'STREAM', key)
    for j = 1, #info, 2 do
      if info[j] == 'last-generated-id' then last = info[j + 1] end
    end
  end
  found[i] = { kind, last }
end
return found
