-- The prelude of every script: names, time, entries, and the lines in which jobs wait.
--
-- KEYS[1] is the base of all names of one queue, `{prefix:queue}`; they share its Cluster slot.
--
-- A line is an ordered wait with fairness: for each lane (priority) a ring of the tenants that have jobs
-- in it, and for each of those tenants a list of ids, first come first. `ready` is a line, and so is each
-- gate. Ids and entries are separate: an entry stays where it is, in JOBS, while its id moves.
local B = KEYS[1]
local JOBS, SCHEDULED, LEASES, UNIQUE = B .. ':jobs', B .. ':scheduled', B .. ':leases', B .. ':unique'
local DEAD, DEAD_INDEX, DEAD_UNIQUE = B .. ':dead', B .. ':dead:index', B .. ':dead:unique'
local DEAD_CHANGES = B .. ':dead:changes'
local READY, GATES, PARKED, PAUSED, WAKE = B .. ':ready', B .. ':gates', B .. ':parked', B .. ':paused', B .. ':wake'
local LANES = { 'h', 'n', 'l' }

-- An hour of minutes, and the one that is being counted.
local STATS_SECONDS = 61 * 60

local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)

local function digits(number) return string.format('%d', number) end

-- The first line of an entry in parts, or nil if it is none. `rest` is where the unchanging part begins.
local function parse(entry)
  local flag, attempt, lane, enqueued, offset, rest, job, tenant, limits, scope, key = string.match(entry,
    '^([.!])(%d+) ([hnl]) (%d+)%+(%d+) ()(%S+) (%S+) (%S+) ([-wr])([^\n]*)\n')
  if not flag then return nil end
  return {
    flag = flag, attempt = tonumber(attempt), lane = lane, enqueued = tonumber(enqueued), offset = tonumber(offset),
    rest = rest, job = job, tenant = tenant, limits = limits, scope = scope, key = key, field = job .. ':' .. key,
  }
end

-- The entry with another number of spent attempts and another time to run at.
local function rewrite(entry, head, attempt, run_at)
  return head.flag .. digits(attempt) .. ' ' .. head.lane .. ' ' .. digits(head.enqueued) .. '+' ..
    digits(math.max(run_at - head.enqueued, 0)) .. ' ' .. string.sub(entry, head.rest)
end

-- Adds ids at the end of a line. At most some hundreds, so that they can be unpacked.
local function push(line, lane, tenant, ids)
  local ring = line .. '/' .. lane
  if redis.call('RPUSH', ring .. '/' .. tenant, unpack(ids)) == #ids then redis.call('RPUSH', ring, tenant) end
end

-- Adds ids, in their order, before all others of their tenant.
local function push_front(line, lane, tenant, ids)
  local ring, reversed = line .. '/' .. lane, {}
  for at = #ids, 1, -1 do reversed[#reversed + 1] = ids[at] end
  if redis.call('LPUSH', ring .. '/' .. tenant, unpack(reversed)) == #ids then redis.call('LPUSH', ring, tenant) end
end

-- Takes up to `room` ids out of a line, lane by lane and in turns from its tenants: visit(lane, tenant, ids).
local function pop(line, room, visit)
  for _, lane in ipairs(LANES) do
    local ring = line .. '/' .. lane
    while room > 0 do
      local tenants = redis.call('LLEN', ring)
      if tenants == 0 then break end
      local share = math.max(1, math.floor(room / tenants))
      for _ = 1, math.min(tenants, room) do
        local tenant = redis.call('LPOP', ring)
        local list = ring .. '/' .. tenant
        local ids = redis.call('LPOP', list, share) or {}
        if redis.call('EXISTS', list) == 1 then redis.call('RPUSH', ring, tenant) end
        room = room - #ids
        visit(lane, tenant, ids)
      end
    end
  end
end

local function has_any(line)
  return redis.call('EXISTS', line .. '/h', line .. '/n', line .. '/l') > 0
end

-- One marker wakes one idle worker, which takes what it can and leaves the marker if more remains.
local function wake() redis.call('ZADD', WAKE, 0, '1') end

-- Gives a unique key back if it is this job's.
local function free(id, head)
  if head.scope ~= '-' and redis.call('HGET', UNIQUE, head.field) == id then redis.call('HDEL', UNIQUE, head.field) end
end

local function count(field, increment)
  local key = B .. ':stats:' .. digits(math.floor(now / 60000))
  redis.call('HINCRBY', key, field, increment)
  redis.call('EXPIRE', key, STATS_SECONDS)
end
