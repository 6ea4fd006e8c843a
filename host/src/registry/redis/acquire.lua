-- Takes or renews the lease. ARGV: 2 holder, 3 how long it lasts.
local meta = redis.call('HMGET', KEYS[1], 'head', 'token', 'holder', 'until')
if not meta[1] then
  begin()
  meta = {micros, false, false, false}
end
local token = meta[2]
if not meta[3] or now >= tonumber(meta[4]) then
  -- Greater than each one before, also after a loss, when the last one is forgotten and time has passed.
  token = string.format('%.0f', math.max((token or 0) + 1, micros))
elseif meta[3] ~= ARGV[2] then
  return {'held', now}
end
redis.call('HSET', KEYS[1], 'token', token, 'holder', ARGV[2], 'until', now + ARGV[3])
-- What rooms alone began would have expired.
if redis.call('PERSIST', KEYS[1]) == 1 then
  for i = 2, 8 do
    redis.call('PERSIST', KEYS[i])
  end
end
return {'taken', now, token}
