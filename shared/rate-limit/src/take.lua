-- KEYS: one for each limit, in one slot. ARGV: of each limit its quota and the length of its window in ms.
-- A window begins with the first request in it and ends by itself, with its key.
local passed = true
local used = {}
for i, key in ipairs(KEYS) do
  used[i] = tonumber(redis.call('GET', key) or '0')
  if used[i] >= tonumber(ARGV[2 * i - 1]) then
    passed = false
  end
end
local counts = {}
for i, key in ipairs(KEYS) do
  if passed then
    used[i] = redis.call('INCR', key)
    if used[i] == 1 then
      redis.call('PEXPIRE', key, ARGV[2 * i])
    end
  end
  counts[i] = { used[i], math.max(redis.call('PTTL', key), 0) }
end
return { passed and 1 or 0, counts }
