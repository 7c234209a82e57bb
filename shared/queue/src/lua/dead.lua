-- What the scripts on dead letters share; comes after lines.lua.

-- The first line of a dead letter in parts, or nil if it cannot run: it is no entry, or a worker could not read
-- what follows the first line.
local function readable(id, entry)
  local line = redis.call('HGET', DEAD_INDEX, id)
  if line and string.match(line, ' malformed_entry$') then return nil end
  return parse(entry)
end

-- Takes a letter from the dead. Its entry stays, and so does the key of a later letter that has the same.
local function raise(id, entry)
  redis.call('ZREM', DEAD, id)
  redis.call('HDEL', DEAD_INDEX, id)
  local head = parse(entry)
  if head and head.scope ~= '-' and redis.call('HGET', DEAD_UNIQUE, head.field) == id then
    redis.call('HDEL', DEAD_UNIQUE, head.field)
  end
end

-- Tells the mirror. A change of the same letter always comes after the one before.
local function journal(id, what, by, reason)
  redis.call('XADD', DEAD_CHANGES, '*', 'id', id, 'what', what, 'by', by, 'reason', reason)
end
