-- Where a job is.
--
-- ARGV  id
-- Reply nothing if it is not there, or one row: id, state, gate or lease, time in ms, entry
local id = ARGV[1]
local entry = redis.call('HGET', JOBS, id)
if not entry then return {} end

-- More leases than a whole fleet holds on one queue.
local LEASE_SCAN = 10000
-- How deep a tenant's list at a gate is searched: some milliseconds. What is deeper counts as ready.
local GATE_SCAN = 100000

local function row(state, word, time) return { { id, state, word, time, entry } } end

local died = redis.call('ZSCORE', DEAD, id)
if died then return row('dead', '', tonumber(died)) end
local due = redis.call('ZSCORE', SCHEDULED, id)
if due then return row('scheduled', '', tonumber(due)) end
for _, lease in ipairs(redis.call('ZRANGE', LEASES, 0, LEASE_SCAN - 1)) do
  if string.match(lease, '^%d+:([^:]+):') == id then
    return row('running', lease, tonumber(redis.call('ZSCORE', LEASES, lease)))
  end
end

local head = parse(entry)
if head then
  local gates = { 'job:' .. head.job }
  for key in string.gmatch(head.limits, '([^=,]+)=') do gates[#gates + 1] = 'limit:' .. key end
  for _, gate in ipairs(gates) do
    local list = B .. ':gate:' .. gate .. '/' .. head.lane .. '/' .. head.tenant
    if redis.call('HEXISTS', PARKED, gate) == 1 and redis.call('LPOS', list, id, 'MAXLEN', GATE_SCAN) then
      return row('limited', gate, 0)
    end
  end
end
return row('ready', '', 0)
