-- The first jobs of a state: of lines as they will be claimed, of scheduled jobs the next due, of running ones
-- those whose lease ends first, of dead ones the latest.
--
-- ARGV  state, most rows (some hundred)
-- Reply rows: id, state, gate or lease, time in ms, entry
local state, most = ARGV[1], tonumber(ARGV[2])
-- Gates looked at; each has jobs, so these are enough to fill a page.
local GATES_LISTED = 100

local rows = {}
local function add(id, word, time)
  rows[#rows + 1] = { id, state, word, time, redis.call('HGET', JOBS, id) or '' }
end

local function add_line(line, gate)
  for _, lane in ipairs(LANES) do
    local ring = line .. '/' .. lane
    local tenants = redis.call('LRANGE', ring, 0, most - 1)
    local at, found = 0, #tenants > 0
    while found and #rows < most do
      found = false
      for _, tenant in ipairs(tenants) do
        local id = #rows < most and redis.call('LINDEX', ring .. '/' .. tenant, at)
        if id then
          add(id, gate, 0)
          found = true
        end
      end
      at = at + 1
    end
  end
end

local function add_scored(set, order)
  local members = redis.call('ZRANGE', set, 0, most - 1, unpack(order))
  for at = 1, #members, 2 do
    local member, score = members[at], tonumber(members[at + 1])
    if state == 'running' then
      add(string.match(member, '^%d+:([^:]+):') or member, member, score)
    else
      add(member, '', score)
    end
  end
end

if state == 'ready' then
  add_line(READY, '')
elseif state == 'limited' then
  for _, gate in ipairs(redis.call('ZRANGE', GATES, 0, GATES_LISTED - 1)) do add_line(B .. ':gate:' .. gate, gate) end
elseif state == 'scheduled' then
  add_scored(SCHEDULED, { 'WITHSCORES' })
elseif state == 'running' then
  add_scored(LEASES, { 'WITHSCORES' })
elseif state == 'dead' then
  add_scored(DEAD, { 'REV', 'WITHSCORES' })
end
return rows
