-- One call of a room that says nothing new: freshens it. What is new takes judgement, and so goes back as it is.
-- ARGV: 2 room, 3 witness clock, 4 the room's time ('': a sign of life only), 5 earliest time at which that is not
-- too far ahead, 6 signature of what it says.
local head = redis.call('HGET', KEYS[1], 'head')
local record = head and redis.call('HGET', KEYS[2], ARGV[2])
if not record then
  return {'unknown', now, redis.call('HGET', KEYS[1], 'epoch')}
end
local sent = ARGV[4]
if sent ~= '' then
  local last, _, quiet_until, said = struct.unpack('>i8i8i8c16', record, 27)
  if said ~= ARGV[6] or struct.unpack('>i8', sent) < last or now < tonumber(ARGV[5]) or now >= quiet_until then
    return {'new', now, record}
  end
end
local times = sent == '' and string.sub(record, 27, 42) or sent .. struct.pack('>i8', now)
head = math.max(head + 1, micros)
redis.call('HSET', KEYS[1], 'head', head)
redis.call('HSET', KEYS[2], ARGV[2], string.sub(record, 1, 1) .. '\0' .. struct.pack('>I8i8', head, now)
  .. ARGV[3] .. times .. string.sub(record, 43))
redis.call('ZADD', KEYS[3], head, ARGV[2])
-- Passed over by an allocation because of its silence: that is over.
if string.byte(record, 2) ~= 0 then
  local place = redis.call('HGET', KEYS[5], ARGV[2])
  if place then
    redis.call('HDEL', KEYS[5], ARGV[2])
    redis.call('ZADD', KEYS[4], 0, place)
  end
end
return {'fresh', now, record}
