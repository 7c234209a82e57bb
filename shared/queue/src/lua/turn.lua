#!lua flags=allow-oom
-- One turn of a queue's driver: settle what finished, renew what runs, take back what expired,
-- promote what is due, claim what there is room for. Everything in it happens at once or not at all.
-- `allow-oom`: with memory full a queue must still drain.
--
-- KEYS  ready:high, ready:normal, ready:low, scheduled, running, leases, unique, dead, buried, wake, token
-- ARGV  worker, lease in ms, room, "1" to look for orphans, number of settlements s,
--       s times (kind, token, delay in ms, note), then the tokens to renew
-- Reply now in ms, {token, entry, ...}, {indexes of refused settlements}, {indexes of lost leases},
--       ms until something is due (-1 nothing known), leases taken back, malformed entries buried
local LANES = { h = KEYS[1], n = KEYS[2], l = KEYS[3] }
local SCHEDULED, RUNNING, LEASES, UNIQUE = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local DEAD, BURIED, WAKE, TOKEN = KEYS[8], KEYS[9], KEYS[10], KEYS[11]

-- Work per turn, so that a turn stays around a millisecond however much is due.
local PROMOTE_LIMIT = 500
local RECLAIM_LIMIT = 100
-- More leases than a whole fleet holds on one queue; only read after an interrupted turn.
local ORPHAN_SCAN = 10000
-- Notes stop growing an entry here; the largest payload and a full history fit well below.
local ENTRY_BYTES = 1048576

local worker, lease, room = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local suffix = ':' .. worker
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)

local function digits(number) return string.format('%.0f', number) end

local function parse(entry)
  local enqueued, attempt, id, lane, job, tenant, scope, key =
    string.match(entry, '^(%d+) (%d+) (%S+) ([hnl]) (%S+) (%S+) ([-wr])([^\n]*)\n')
  if not enqueued then return nil end
  return {
    enqueued = enqueued, attempt = tonumber(attempt), id = id, lane = lane, scope = scope,
    field = job .. ':' .. key, rest = string.sub(entry, #enqueued + #attempt + 3),
  }
end

local function with_attempt(head, attempt)
  return head.enqueued .. ' ' .. digits(math.max(attempt, 0)) .. ' ' .. head.rest
end

local function annotate(entry, note)
  if #entry > ENTRY_BYTES then return entry end
  return entry .. '\n{"at":' .. digits(now) .. ',' .. string.sub(note, 2)
end

local function free(head)
  if head.scope ~= '-' and redis.call('HGET', UNIQUE, head.field) == head.id then
    redis.call('HDEL', UNIQUE, head.field)
  end
end

-- Back to waiting. A key that is unique among waiting jobs was given up at the claim; it is taken
-- again unless another waiting job has it by now.
local function wait(head, entry, delay, push)
  if head.scope == 'w' then redis.call('HSETNX', UNIQUE, head.field, head.id) end
  if delay > 0 then
    redis.call('ZADD', SCHEDULED, now + delay, entry)
  else
    redis.call(push, LANES[head.lane], entry)
  end
end

local function bury(head, entry)
  free(head)
  redis.call('HSET', DEAD, head.id, entry)
  redis.call('ZADD', BURIED, now, head.id)
end

-- The entry behind a lease, which ends here; nil if the lease is not held any more.
local function take(member)
  local entry = redis.call('HGET', RUNNING, member)
  redis.call('ZREM', LEASES, member)
  if not entry then return nil end
  redis.call('HDEL', RUNNING, member)
  return entry
end

local function settle(kind, member, delay, note)
  if kind == 'done' then
    redis.call('ZREM', LEASES, member)
    return redis.call('HDEL', RUNNING, member) == 1
  end
  local entry = take(member)
  if not entry then return false end
  local head = parse(entry)
  if kind == 'free' then
    free(head)
  elseif kind == 'retry' then
    wait(head, annotate(entry, note), delay, 'RPUSH')
  elseif kind == 'snooze' then
    wait(head, with_attempt(head, head.attempt - 1), delay, 'RPUSH')
  elseif kind == 'release' then
    wait(head, with_attempt(head, head.attempt - 1), 0, 'LPUSH')
  else
    bury(head, annotate(entry, note))
  end
  return true
end

-- Settle.
local settlements = tonumber(ARGV[5])
local refused = {}
for index = 0, settlements - 1 do
  local at = 6 + index * 4
  if not settle(ARGV[at], ARGV[at + 1] .. suffix, tonumber(ARGV[at + 2]), ARGV[at + 3]) then
    refused[#refused + 1] = index
  end
end

-- Renew.
local lost, known = {}, {}
local first_token = 6 + settlements * 4
for at = first_token, #ARGV do
  local member = ARGV[at] .. suffix
  known[member] = true
  if redis.call('ZSCORE', LEASES, member) then
    redis.call('ZADD', LEASES, now + lease, member)
  else
    lost[#lost + 1] = at - first_token
  end
end

-- Orphans: claimed for this worker in a turn whose reply never reached it. They never ran.
if ARGV[4] == '1' then
  for _, member in ipairs(redis.call('ZRANGE', LEASES, 0, ORPHAN_SCAN - 1)) do
    if not known[member] and string.sub(member, -#suffix) == suffix then
      local entry = take(member)
      local head = entry and parse(entry)
      if head then wait(head, with_attempt(head, head.attempt - 1), 0, 'LPUSH') end
    end
  end
end

-- Take back expired leases. The attempt stays counted: the job may be what killed its worker.
local reclaimed = 0
for _, member in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, RECLAIM_LIMIT)) do
  local entry = take(member)
  local head = entry and parse(entry)
  if head then
    local note = string.format(
      '{"attempt":%d,"code":"lease_expired","message":"the worker went silent","worker":"%s"}',
      head.attempt, string.match(member, ':(.*)$'))
    wait(head, annotate(entry, note), 0, 'LPUSH')
    reclaimed = reclaimed + 1
  end
end

-- Promote and claim, only with room: what nobody can run may as well stay scheduled.
local claimed, buried = {}, 0
if room > 0 then
  local due = redis.call('ZRANGEBYSCORE', SCHEDULED, '-inf', now, 'LIMIT', 0, PROMOTE_LIMIT)
  if #due > 0 then
    -- Equal scores order alike in both commands, so these ranks are exactly what was read.
    redis.call('ZREMRANGEBYRANK', SCHEDULED, 0, #due - 1)
    for _, entry in ipairs(due) do
      local head = parse(entry)
      redis.call('RPUSH', LANES[head and head.lane or 'n'], entry)
    end
  end

  local token = math.max(micros, tonumber(redis.call('GET', TOKEN) or '0') + 1)
  local runs, leases = {}, {}
  for _, lane in ipairs({ LANES.h, LANES.n, LANES.l }) do
    local left = room - #claimed / 2
    local entries = left > 0 and redis.call('LPOP', lane, left) or {}
    for _, entry in ipairs(entries) do
      local head = parse(entry)
      if head then
        if head.scope == 'w' then free(head) end
        local running, member = with_attempt(head, head.attempt + 1), digits(token) .. suffix
        runs[#runs + 1], runs[#runs + 2] = member, running
        leases[#leases + 1], leases[#leases + 2] = digits(now + lease), member
        claimed[#claimed + 1], claimed[#claimed + 2] = digits(token), running
      else
        bury({ id = 'malformed-' .. digits(token), scope = '-' }, entry)
        buried = buried + 1
      end
      token = token + 1
    end
  end
  -- Safe to unpack: the driver never asks for more than a fixed room.
  if #runs > 0 then
    redis.call('HSET', RUNNING, unpack(runs))
    redis.call('ZADD', LEASES, unpack(leases))
  end
  if #runs > 0 or buried > 0 then redis.call('SET', TOKEN, digits(token - 1)) end
end

-- One marker wakes one idle worker, which takes what it can and leaves the marker if more remains.
if redis.call('EXISTS', LANES.h, LANES.n, LANES.l) > 0 then
  redis.call('ZADD', WAKE, 0, '1')
else
  redis.call('DEL', WAKE)
end

local next_at = nil
for _, key in ipairs({ SCHEDULED, LEASES }) do
  local head = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  local at = head[2] and tonumber(head[2])
  if at and (not next_at or at < next_at) then next_at = at end
end
local pause = next_at and math.max(next_at - now, 0) or -1
return { now, claimed, refused, lost, pause, reclaimed, buried }
