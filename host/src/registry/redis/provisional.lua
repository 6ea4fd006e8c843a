-- What a room says of itself that nobody knows yet, while that may be because of a loss.
-- ARGV: 2 room, 3 what is kept of it, 4 what shall be kept, 5 most rooms, 6 how long each is kept.
if redis.call('HGET', KEYS[1], 'epoch') then
  return {'settled', now}
end
local over = redis.call('ZRANGEBYSCORE', KEYS[10], '-inf', now - ARGV[6])
for _, room in ipairs(over) do
  redis.call('HDEL', KEYS[9], room)
  redis.call('ZREM', KEYS[10], room)
end
local kept = redis.call('HGET', KEYS[9], ARGV[2]) or ''
if kept ~= ARGV[3] or redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then
  return {'moved', now}
end
if kept == '' then
  if redis.call('ZCARD', KEYS[10]) >= tonumber(ARGV[5]) then
    return {'full', now}
  end
  redis.call('ZADD', KEYS[10], now, ARGV[2])
end
redis.call('HSET', KEYS[9], ARGV[2], ARGV[4])
if kept == '' then
  -- The youngest one's time is the longest, and whoever made these up need not come back.
  redis.call('PEXPIRE', KEYS[9], ARGV[6])
  redis.call('PEXPIRE', KEYS[10], ARGV[6])
end
return {'kept', now}
