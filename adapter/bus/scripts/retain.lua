-- Trim a stream behind what every group has acknowledged, and never beyond but for a hard cap.
-- KEYS  fence, stream
-- ARGV  epoch, holder, entries to keep for replay, entries at most, entries a call may look at, lapsed groups …
-- Gives [entries left, trimmed, dropped although unread, group that holds the most back,
--        first dropped, first kept].
local refused = fence(KEYS[1], tonumber(ARGV[1]), ARGV[2])
if refused then return refused end
local keep, most, step = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local lapsed = {}
for i = 6, #ARGV do lapsed[ARGV[i]] = true end

local function parts(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(n)
end
local function before(a, b)
  local am, an = parts(a)
  local bm, bn = parts(b)
  return am < bm or (am == bm and an < bn)
end

local length = redis.call('XLEN', KEYS[2])
local excess = math.min(length - keep, step)
if excess <= 0 then return { length, 0, 0, '', '', '' } end
local head = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', excess + 1)
local target = head[#head][1]

-- The oldest entry that some group still needs: its oldest pending one, else the one after its last.
local needed, holder = nil, ''
for _, info in ipairs(redis.call('XINFO', 'GROUPS', KEYS[2])) do
  local group = {}
  for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
  if not lapsed[group['name']] then
    local first
    if group['pending'] > 0 then
      first = redis.call('XPENDING', KEYS[2], group['name'])[2]
    else
      local ms, n = string.match(group['last-delivered-id'], '^(%d+)-(%d+)$')
      first = ms .. '-' .. string.format('%.0f', tonumber(n) + 1)
    end
    if not needed or before(first, needed) then needed, holder = first, group['name'] end
  end
end

local dropped, from, to = 0, '', ''
if needed and before(needed, target) then
  if length > most then
    -- The cap: what is dropped here is lost to somebody, and is counted.
    local allowed = head[math.min(length - most, excess) + 1][1]
    if before(needed, allowed) then
      for i = 1, #head do
        if not before(head[i][1], needed) and before(head[i][1], allowed) then
          if dropped == 0 then from = head[i][1] end
          dropped = dropped + 1
        end
      end
      to, needed = allowed, allowed
    end
  end
  target = needed
end
local trimmed = redis.call('XTRIM', KEYS[2], 'MINID', target)
return { length - trimmed, trimmed, dropped, holder, from, to }
