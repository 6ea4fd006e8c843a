-- Who works. ARGV: 2 a member, 3 for how long it is there, 4 most members, 5 how it reaches the store, a digit below 4;
-- without a time the member goes. A score is the time until which a member is there, in whole milliseconds, and the
-- digit in quarters of one: so the two go together, and releases that know of no digit read and write the time alone.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[1], ARGV[2])
elseif redis.call('ZSCORE', KEYS[1], ARGV[2]) or redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('ZADD', KEYS[1], now + ARGV[3] + ARGV[5] / 4, ARGV[2])
else
  return {'full', now}
end
local there = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for place = 2, #there, 2 do
  there[place] = tostring(there[place] % 1 * 4)
end
return {'there', now, there}
