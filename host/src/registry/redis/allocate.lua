-- Promises the first room of the index that was heard of; the one change of a room that is made here and not by
-- `maestro_core`, because between reading and writing somebody else would take it. Contract: the room that comes out
-- is what `Room::allocate` makes of it.
-- Rooms that are passed over, for their silence or while recovering, step aside until they are heard of or the
-- recovery ends, so that each is walked over once and not by every call.
-- ARGV: 2 how long the promise holds, 3 witness clock at the last sign of life, at least, 4 most rooms to walk over,
-- 5 channel of nudges.
local meta = redis.call('HMGET', KEYS[1], 'head', 'epoch')
if not meta[1] then
  return {'none', now}
end
for _ = 1, tonumber(ARGV[4]) do
  local place = redis.call('ZRANGE', KEYS[4], 0, 0)[1]
  if not place then
    return {'none', now}
  end
  redis.call('ZREM', KEYS[4], place)
  local room = string.sub(place, 33)
  local record = redis.call('HGET', KEYS[2], room)
  if record then
    local is_silent = struct.unpack('>I8', record, 19) < tonumber(ARGV[3])
    local may_be_promised = not meta[2] and string.byte(record, 84) ~= 0
    if is_silent or may_be_promised then
      redis.call('HSET', KEYS[5], room, place)
      redis.call('HSET', KEYS[2], room, string.sub(record, 1, 1) .. '\1' .. string.sub(record, 3))
    else
      local head = math.max(meta[1] + 1, micros)
      local revision = struct.unpack('>I8', record, 67)
      -- Nothing is known to say nothing new about a promise: the next report is looked at.
      local quiet = '\128' .. string.rep('\0', 23)
      record = string.sub(record, 1, 1) .. '\0' .. struct.pack('>I8', head) .. string.sub(record, 11, 42) .. quiet
        .. struct.pack('>I8Bi8', revision + 1, 1, now + ARGV[2]) .. string.sub(record, 84)
      redis.call('HSET', KEYS[1], 'head', head)
      redis.call('HSET', KEYS[2], room, record)
      redis.call('ZADD', KEYS[3], head, room)
      redis.call('PUBLISH', ARGV[5], '')
      return {'given', now, record}
    end
  end
end
return {'more', now}
