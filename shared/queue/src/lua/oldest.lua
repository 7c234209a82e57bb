-- Since when the longest waiting job could run, as far as a page of tenants tells: within a tenant's list the
-- first is the oldest, or nearly so.
--
-- ARGV  the first tenant of the page in each lane (from 0), tenants per page
-- Reply now in ms, the time found (-1 for none), whether there are more tenants
local first, size = tonumber(ARGV[1]), tonumber(ARGV[2])
-- What is read of entries in a call: with the largest payloads a page is cut short rather than keep Redis busy.
local READ_BYTES = 4194304

local oldest, more, read = nil, 0, 0
local function look(time)
  if time and (not oldest or time < oldest) then oldest = time end
end

for _, lane in ipairs(LANES) do
  local ring = READY .. '/' .. lane
  local tenants = redis.call('LRANGE', ring, first, first + size)
  if #tenants > size then more = 1 end
  for at = 1, math.min(#tenants, size) do
    local id = redis.call('LINDEX', ring .. '/' .. tenants[at], 0)
    if id and read < READ_BYTES then
      local entry = redis.call('HGET', JOBS, id) or ''
      read = read + #entry
      local enqueued, offset = string.match(entry, '^[.!]%d+ [hnl] (%d+)%+(%d+) ')
      look(enqueued and tonumber(enqueued) + tonumber(offset))
    end
  end
end

-- What fell due while no worker had room to promote it is ready in all but name.
local due = redis.call('ZRANGE', SCHEDULED, 0, 0, 'WITHSCORES')
if due[2] and tonumber(due[2]) <= now then look(tonumber(due[2])) end
return { now, oldest or -1, more }
