-- Puts another payload in place of a dead letter's, the third line of its entry. All else stays.
--
-- ARGV  who, why, id, payload on one line
-- Reply edited; missing; malformed, it has no payload
local by, reason, id, payload = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if not redis.call('ZSCORE', DEAD, id) then return 'missing' end
local entry = redis.call('HGET', JOBS, id) or ''
if not readable(id, entry) then return 'malformed' end
local first = string.find(entry, '\n', 1, true)
local second = string.find(entry, '\n', first + 1, true)
if not second then return 'malformed' end
local third = string.find(entry, '\n', second + 1, true)
redis.call('HSET', JOBS, id, string.sub(entry, 1, second) .. payload .. (third and string.sub(entry, third) or ''))
journal(id, 'edited', by, reason)
return 'edited'
