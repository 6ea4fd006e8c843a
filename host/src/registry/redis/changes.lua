-- What changed after a position, or everything where that is not known any more. ARGV: 2 position.
local meta = redis.call('HMGET', KEYS[1], 'head', 'floor', 'epoch', 'standing')
if not meta[1] then
  return {'all', now, '0', false, false, {}, {}}
end
local since = tonumber(ARGV[2])
if since < tonumber(meta[2]) or since > tonumber(meta[1]) then
  return {'all', now, meta[1], meta[3], meta[4], redis.call('HVALS', KEYS[2]), {}}
end
local rooms, removed = {}, {}
for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ARGV[2], '+inf')) do
  rooms[#rooms + 1] = redis.call('HGET', KEYS[2], room)
end
for _, room in ipairs(redis.call('ZRANGEBYSCORE', KEYS[6], '(' .. ARGV[2], '+inf')) do
  -- One that came back stands among the changed ones.
  if redis.call('HEXISTS', KEYS[2], room) == 0 then
    removed[#removed + 1] = room
  end
end
return {'some', now, meta[1], meta[3], meta[4], rooms, removed}
