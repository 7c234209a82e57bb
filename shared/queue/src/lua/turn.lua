-- One turn of a queue's driver: settle what finished, renew what runs, take back what expired, let
-- through the gates what may pass, promote what is due, claim what there is room for. Everything in it
-- happens at once or not at all. `allow-oom`: with memory full a queue must still drain.
--
-- ARGV  worker, lease in ms, room, "1" to look for orphans, beat ("" for none, "gone" at the end),
--       number of statistics, (field, increment)..., number of plain ends, lease...,
--       number of settlements, (kind, lease, delay in ms, note)..., leases to renew...
-- Reply now in ms, {lease, entry, ...}, {indexes of refused ends and settlements}, {indexes of lost
--       leases}, ms until something is due (-1 nothing known), leases taken back, malformed entries
--       buried, whether work is ready and may be claimed
-- A lease is named <token>:<id>:<attempt>:<worker>.
local LIMITS, IN_USE, RATES, TOKEN = B .. ':limits', B .. ':in_use', B .. ':rates', B .. ':token'
local WORKERS, BEATS = B .. ':workers', B .. ':beats'

-- Work per turn, so that a turn stays around a millisecond or two however much is due.
local PROMOTE_LIMIT = 500
local RECLAIM_LIMIT = 100
local UNPARK_LIMIT = 500
local GATE_LIMIT = 16
-- Jobs looked at beyond the room because they had to be parked.
local PARK_LIMIT = 500
-- More leases than a whole fleet holds on one queue; only read after an interrupted turn.
local ORPHAN_SCAN = 10000
-- Notes stop growing an entry here; the largest payload and a full history fit well below.
local ENTRY_BYTES = 1048576
-- The first sign of an entry that has neither unique key nor limits.
local PLAIN = string.byte('.')
-- A worker that was not seen for so long is forgotten.
local WORKER_MS = 60000
local PRUNE_LIMIT = 10

local worker, lease, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local suffix = ':' .. worker
local cursor = 5
local function next_argument()
  cursor = cursor + 1
  return ARGV[cursor]
end

local function annotate(entry, note)
  if #entry > ENTRY_BYTES then return entry end
  return entry .. '\n{"at":' .. digits(now) .. ',' .. string.sub(note, 2)
end

-- Visits each limit that a job declares: visit(key, cost).
local function each_limit(head, visit)
  if head.limits == '-' then return end
  for key, cost in string.gmatch(head.limits, '([^=,]+)=(%d+)') do visit(key, tonumber(cost)) end
end

-- What a job held while it ran, given back. Whoever waits for it may look again.
local function leave(head)
  each_limit(head, function(key)
    if redis.call('HINCRBY', IN_USE, key, -1) <= 0 then redis.call('HDEL', IN_USE, key) end
    redis.call('ZADD', GATES, 'XX', digits(now), 'limit:' .. key)
  end)
end

-- Back to waiting. A key that is unique among waiting jobs was given up at the claim; it is taken
-- again unless another waiting job has it by now.
local function wait(id, head, delay, add)
  if head.scope == 'w' then redis.call('HSETNX', UNIQUE, head.field, id) end
  if delay > 0 then
    redis.call('ZADD', SCHEDULED, digits(now + delay), id)
  else
    add(READY, head.lane, head.tenant, { id })
  end
end

-- To the dead letters, with a line in their index and their journal. Without a head the entry is malformed.
local function bury(id, head, entry, fingerprint, code)
  local job, tenant = '-', '-'
  if head then
    free(id, head)
    job, tenant = head.job, head.tenant
    if head.scope ~= '-' then redis.call('HSET', DEAD_UNIQUE, head.field, id) end
  end
  redis.call('HSET', JOBS, id, entry)
  redis.call('ZADD', DEAD, digits(now), id)
  redis.call('HSET', DEAD_INDEX, id, fingerprint .. ' ' .. job .. ' ' .. tenant .. ' ' .. code)
  redis.call('XADD', DEAD_CHANGES, '*', 'id', id, 'what', 'died')
end

-- Ends a lease: id, attempt, entry, head (nil if malformed); nil if it is not held any more.
local function take(member)
  if redis.call('ZREM', LEASES, member) == 0 then return nil end
  local id, attempt = string.match(member, '^%d+:([^:]+):(%d+):')
  local entry = redis.call('HGET', JOBS, id) or ''
  local head = parse(entry)
  if head then leave(head) end
  return id, tonumber(attempt), entry, head
end

local function settle(kind, member, delay, note)
  local id, attempt, entry, head = take(member)
  if not id then return false end
  if kind == 'dead' or not head then
    local fingerprint, code, failure = string.match(note, '^(%S+) (%S+)\n(.*)$')
    if head then entry = rewrite(entry, head, attempt, head.enqueued + head.offset) end
    bury(id, head, failure and annotate(entry, failure) or entry, fingerprint or '-', code or 'malformed_entry')
  elseif kind == 'end' then
    free(id, head)
    redis.call('HDEL', JOBS, id)
  elseif kind == 'retry' then
    redis.call('HSET', JOBS, id, annotate(rewrite(entry, head, attempt, now + delay), note))
    wait(id, head, delay, push)
  elseif kind == 'snooze' then
    redis.call('HSET', JOBS, id, rewrite(entry, head, head.attempt, now + delay))
    wait(id, head, delay, push)
  else
    wait(id, head, 0, push_front)
  end
  return true
end

-- Beat.
local beat = ARGV[5]
if beat == 'gone' then
  redis.call('ZREM', WORKERS, worker)
  redis.call('HDEL', BEATS, worker)
elseif beat ~= '' then
  redis.call('ZADD', WORKERS, digits(now), worker)
  redis.call('HSET', BEATS, worker, beat)
  for _, silent in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, '-inf', digits(now - WORKER_MS), 'LIMIT', 0, PRUNE_LIMIT)) do
    redis.call('ZREM', WORKERS, silent)
    redis.call('HDEL', BEATS, silent)
  end
end

-- Statistics.
for _ = 1, tonumber(next_argument()) do
  local field = next_argument()
  count(field, next_argument())
end

-- Plain ends: done, and nothing else to give back. All in three calls; safe to unpack, because a driver
-- holds a fixed number of jobs at most.
local refused = {}
local ends = tonumber(next_argument())
if ends > 0 then
  local members, ids = {}, {}
  for at = 1, ends do members[at] = next_argument() end
  local held = redis.call('ZMSCORE', LEASES, unpack(members))
  for at, member in ipairs(members) do
    if held[at] then
      ids[#ids + 1] = string.match(member, '^%d+:([^:]+):')
    else
      refused[#refused + 1] = at - 1
    end
  end
  if #ids > 0 then
    redis.call('ZREM', LEASES, unpack(members))
    redis.call('HDEL', JOBS, unpack(ids))
  end
end

-- Settle.
for index = 1, tonumber(next_argument()) do
  local kind, member, delay = next_argument(), next_argument(), tonumber(next_argument())
  if not settle(kind, member, delay, next_argument()) then refused[#refused + 1] = ends + index - 1 end
end

-- Renew.
local lost, known = {}, {}
local first = cursor + 1
for at = first, #ARGV do
  local member = ARGV[at]
  known[member] = true
  if redis.call('ZSCORE', LEASES, member) then
    redis.call('ZADD', LEASES, digits(now + lease), member)
  else
    lost[#lost + 1] = at - first
  end
end

-- Orphans: claimed for this worker in a turn whose reply never reached it. They never ran.
if ARGV[4] == '1' then
  for _, member in ipairs(redis.call('ZRANGE', LEASES, 0, ORPHAN_SCAN - 1)) do
    if not known[member] and string.sub(member, -#suffix) == suffix then
      local id, _, entry, head = take(member)
      if head then wait(id, head, 0, push_front) else bury(id, nil, entry, '-', 'malformed_entry') end
    end
  end
end

-- Take back expired leases. The attempt stays counted: the job may be what killed its worker.
local reclaimed, buried = 0, 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', digits(now), 'LIMIT', 0, RECLAIM_LIMIT)) do
  local id, attempt, entry, head = take(member)
  if head then
    local note = string.format(
      '{"attempt":%d,"code":"lease_expired","message":"the worker went silent","worker":"%s"}',
      attempt, string.match(member, '^%d+:[^:]+:%d+:(.*)$'))
    redis.call('HSET', JOBS, id, annotate(rewrite(entry, head, attempt, head.enqueued + head.offset), note))
    wait(id, head, 0, push_front)
    reclaimed = reclaimed + 1
  else
    bury(id, nil, entry, '-', 'malformed_entry')
    buried = buried + 1
  end
end
if reclaimed > 0 then count('reclaimed', reclaimed) end

local any_paused = redis.call('EXISTS', PAUSED) == 1
local paused = any_paused and redis.call('HEXISTS', PAUSED, '*') == 1
if paused then room = 0 end

-- A limit as it is set now: concurrency, and the rate as interval and burst in microseconds; nil for what
-- is not limited. Rates follow the generic cell rate algorithm (ITU-T I.371).
local function limit_of(key)
  local words = redis.call('HGET', LIMITS, key)
  if not words then return nil end
  local concurrency, units, per, burst = string.match(words, '^(%S+) (%S+) (%d+) (%d+)$')
  local interval = units ~= '-' and tonumber(per) * 1000 / tonumber(units) or nil
  return { concurrency = tonumber(concurrency), interval = interval, burst = interval and tonumber(burst) * interval }
end

local function arrival(key) return math.max(tonumber(redis.call('HGET', RATES, key) or '0'), micros) end

-- The gate that a job cannot pass now, and the ms when it may open; nil if the way is free.
local function closed_gate(head)
  if any_paused and redis.call('HEXISTS', PAUSED, head.job) == 1 then return 'job:' .. head.job, '+inf' end
  local gate, opens = nil, nil
  each_limit(head, function(key, cost)
    local limit = not gate and limit_of(key)
    if not limit then return end
    if limit.concurrency and tonumber(redis.call('HGET', IN_USE, key) or '0') >= limit.concurrency then
      gate, opens = 'limit:' .. key, '+inf'
    elseif limit.interval then
      -- More than the whole burst passes when nothing is owed: nothing waits for ever.
      local allowed = math.max(limit.burst - cost * limit.interval, 0)
      local ahead = arrival(key) - micros
      if ahead > allowed then gate, opens = 'limit:' .. key, digits(now + math.ceil((ahead - allowed) / 1000)) end
    end
  end)
  return gate, opens
end

-- Jobs that a gate let through in this turn, and those that are to be parked at its end: by gate, lane and tenant,
-- in the order of their claim.
local passed_gate, parking, parkings = {}, {}, {}

local function park(gate, opens, id, head)
  local line = B .. ':gate:' .. gate
  local list = line .. '/' .. head.lane .. '/' .. head.tenant
  local lot = parking[list]
  if not lot then
    lot = { line = line, list = list, lane = head.lane, tenant = head.tenant, jobs = {} }
    parking[list] = lot
    parkings[#parkings + 1] = lot
  end
  lot.jobs[#lot.jobs + 1] = { id = id, run_at = head.enqueued + head.offset }
  redis.call('HINCRBY', PARKED, gate, 1)
  redis.call('HINCRBY', PARKED, '*', 1)
  redis.call('ZADD', GATES, opens, gate)
end

-- Who was let through and did not get in, or is older than who waits there, goes before them: nobody falls back.
local function park_all()
  for _, lot in ipairs(parkings) do
    local first = parse(redis.call('HGET', JOBS, redis.call('LINDEX', lot.list, 0) or '') or '')
    local waits_since = first and first.enqueued + first.offset or 0
    local before, after = {}, {}
    for _, job in ipairs(lot.jobs) do
      local goes_before = job.run_at < waits_since or (job.run_at == waits_since and passed_gate[job.id])
      local side = goes_before and before or after
      side[#side + 1] = job.id
    end
    if #before > 0 then push_front(lot.line, lot.lane, lot.tenant, before) end
    if #after > 0 then push(lot.line, lot.lane, lot.tenant, after) end
  end
end

-- How many jobs a gate lets through now (by guess: each is looked at again), and when it may open if none.
local function openings(gate)
  local kind, key = string.match(gate, '^(%a+):(.*)$')
  if kind == 'job' then
    if redis.call('HEXISTS', PAUSED, key) == 1 then return 0, '+inf' end
    return UNPARK_LIMIT
  end
  local limit, free_slots = limit_of(key), UNPARK_LIMIT
  if limit and limit.concurrency then
    free_slots = math.min(free_slots, limit.concurrency - tonumber(redis.call('HGET', IN_USE, key) or '0'))
    if free_slots <= 0 then return 0, '+inf' end
  end
  if limit and limit.interval then
    local units = math.floor((limit.burst - (arrival(key) - micros)) / limit.interval)
    if units < 1 then return 0, digits(now + math.max(1, math.ceil(limit.interval / 1000))) end
    free_slots = math.min(free_slots, units)
  end
  return free_slots
end

-- Lets through those gates that may have opened, to the head of what is ready.
local function unpark()
  for _, gate in ipairs(redis.call('ZRANGEBYSCORE', GATES, '-inf', digits(now), 'LIMIT', 0, GATE_LIMIT)) do
    local line = B .. ':gate:' .. gate
    local slots, opens = openings(gate)
    local passed = 0
    if slots > 0 then
      pop(line, slots, function(lane, tenant, ids)
        passed = passed + #ids
        for _, id in ipairs(ids) do passed_gate[id] = true end
        push_front(READY, lane, tenant, ids)
      end)
    end
    if redis.call('HINCRBY', PARKED, '*', 0 - passed) <= 0 then redis.call('HDEL', PARKED, '*') end
    if redis.call('HINCRBY', PARKED, gate, 0 - passed) <= 0 then
      redis.call('HDEL', PARKED, gate)
      redis.call('ZREM', GATES, gate)
    else
      -- What passed takes what was free; the next look is when time or somebody's end has made room.
      redis.call('ZADD', GATES, opens or digits(now + 1), gate)
    end
  end
end

local function promote()
  local due = redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', digits(now), 'LIMIT', 0, PROMOTE_LIMIT)
  if #due == 0 then return end
  -- Equal scores order alike in both commands, so these ranks are exactly what was read.
  redis.call('ZREMRANGEBYRANK', SCHEDULED, 0, #due - 1)
  local rings, order = {}, {}
  for at, entry in ipairs(redis.call('HMGET', JOBS, unpack(due))) do
    local lane, tenant = string.match(entry or '', '^[.!]%d+ ([hnl]) %S+ %S+ (%S+) ')
    lane, tenant = lane or 'n', tenant or '-'
    local ring = lane .. tenant
    if not rings[ring] then
      rings[ring] = { lane = lane, tenant = tenant, ids = {} }
      order[#order + 1] = ring
    end
    local ids = rings[ring].ids
    ids[#ids + 1] = due[at]
  end
  for _, ring in ipairs(order) do push(READY, rings[ring].lane, rings[ring].tenant, rings[ring].ids) end
end

local function enter(id, head)
  if head.scope == 'w' then free(id, head) end
  each_limit(head, function(key, cost)
    redis.call('HINCRBY', IN_USE, key, 1)
    local limit = limit_of(key)
    if limit and limit.interval then redis.call('HSET', RATES, key, digits(arrival(key) + cost * limit.interval)) end
  end)
end

local claimed, leases = {}, {}
if room > 0 then
  unpark()
  promote()
  local token = math.max(micros, tonumber(redis.call('GET', TOKEN) or '0') + 1)
  local first_token, parked = token, 0
  local expiry = digits(now + lease)
  local function claim(id, entry)
    local attempt = string.match(entry, '^[.!](%d+) ')
    local plain = attempt and not any_paused and string.byte(entry) == PLAIN
    local head = not plain and parse(entry)
    if not plain and not head then
      bury(id, nil, entry, '-', 'malformed_entry')
      buried = buried + 1
      return
    end
    if head then
      local gate, opens = closed_gate(head)
      if gate then
        park(gate, opens, id, head)
        parked = parked + 1
        return
      end
      enter(id, head)
    end
    local member = digits(token) .. ':' .. id .. ':' .. digits(tonumber(attempt) + 1) .. suffix
    local at = #claimed
    leases[at + 1], leases[at + 2] = expiry, member
    claimed[at + 1], claimed[at + 2] = member, entry
    token = token + 1
  end
  while #claimed / 2 < room and parked < PARK_LIMIT do
    local ids = {}
    pop(READY, room - #claimed / 2, function(_, _, batch)
      for _, id in ipairs(batch) do ids[#ids + 1] = id end
    end)
    if #ids == 0 then break end
    for at, entry in ipairs(redis.call('HMGET', JOBS, unpack(ids))) do
      claim(ids[at], entry or '')
    end
  end
  park_all()
  -- Safe to unpack: the driver never asks for more than a fixed room.
  if #leases > 0 then redis.call('ZADD', LEASES, unpack(leases)) end
  if token > first_token then redis.call('SET', TOKEN, digits(token - 1)) end
end

local function head_score(key)
  local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  local score = head[2] and tonumber(head[2])
  return score and score < math.huge and score or nil
end

local ready = not paused and has_any(READY)
local gate_at = not paused and head_score(GATES) or nil
if ready or (gate_at and gate_at <= now) then wake() else redis.call('DEL', WAKE) end

local next_at = head_score(LEASES)
local scheduled_at = not paused and head_score(SCHEDULED) or nil
if scheduled_at and (not next_at or scheduled_at < next_at) then next_at = scheduled_at end
if gate_at and (not next_at or gate_at < next_at) then next_at = gate_at end
local pause = next_at and math.max(next_at - now, 0) or -1
return { now, claimed, refused, lost, pause, reclaimed, buried, ready and 1 or 0 }
