-- Before scripts that begin a scheduler or check who holds it. Keys, always in this order: 1 meta, 2 rooms, 3 log,
-- 4 allocatable, 5 held, 6 removed, 7 gone, 8 state, 9 provisional, 10 heard.

-- Begins a scheduler anew. What is left of it without its `meta` (a server that evicts keys) is as good as lost.
local function begin()
  redis.call('UNLINK', unpack(KEYS, 2))
  redis.call('HSET', KEYS[1], 'head', micros, 'floor', micros)
  return micros
end

-- Whether `token` is the newest one, and was not given back.
local function is_newest(token)
  local lease = redis.call('HMGET', KEYS[1], 'token', 'holder')
  return lease[1] == token and lease[2] ~= false
end
