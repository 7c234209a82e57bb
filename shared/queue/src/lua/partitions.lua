-- Remembers into how many partitions a queue was ever split.
--
-- KEYS  hash of queue -> number
-- ARGV  queue, number now
-- Reply the largest so far
local most = math.max(tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '1'), tonumber(ARGV[2]))
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', most))
return most
