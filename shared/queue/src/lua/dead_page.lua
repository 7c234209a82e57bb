-- A page of the dead letters' index, in the order of their deaths, from a position on. It is found by its place in
-- the order, so the letter it was taken from may be gone.
--
-- ARGV  "oldest" or "latest" first, position: time in ms and id ("" is before all ids of that time), most rows (a thousand)
-- Reply (id, died at in ms, index line)..., without the position itself
local forward, time, id, most = ARGV[1] == 'oldest', ARGV[2], ARGV[3], tonumber(ARGV[4])

-- Redis orders letters of one time by their bytes; Lua's own comparison follows the locale.
local function is_after(one, other)
  for at = 1, math.min(#one, #other) do
    local left, right = string.byte(one, at), string.byte(other, at)
    if left ~= right then return left > right end
  end
  return #one > #other
end

-- Rank of the first that is not before the position, or going forward, of the first after it.
local first = redis.call('ZCOUNT', DEAD, '-inf', '(' .. time)
local behind = id == '' and first or first + redis.call('ZCOUNT', DEAD, time, time)
while first < behind do
  local middle = math.floor((first + behind) / 2)
  local member = redis.call('ZRANGE', DEAD, middle, middle)[1]
  local reached = is_after(member, id) or (not forward and member == id)
  if reached then behind = middle else first = middle + 1 end
end

local from, to = first, first + most - 1
if not forward then from, to = math.max(first - most, 0), first - 1 end
if to < from then return {} end
local found = redis.call('ZRANGE', DEAD, from, to, 'WITHSCORES')
local ids, rows = {}, {}
for at = 1, #found, 2 do ids[#ids + 1] = found[at] end
if #ids == 0 then return {} end
-- Safe to unpack: a page has a fixed number of rows at most.
local lines = redis.call('HMGET', DEAD_INDEX, unpack(ids))
local begin, stop, step = 1, #ids, 1
if not forward then begin, stop, step = #ids, 1, -1 end
for at = begin, stop, step do
  local row = #rows
  rows[row + 1], rows[row + 2], rows[row + 3] = ids[at], found[2 * at], lines[at] or ''
end
return rows
