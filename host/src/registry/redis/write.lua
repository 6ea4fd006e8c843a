-- Rooms as `maestro_core` changed them, each only if it is still the one that the change was worked out from; index
-- and stream of changes follow.
-- ARGV: 2 token ('': whoever), 3 'recovering': only while that lasts, 4 channel of nudges ('': none), 5 most rooms that
-- are not gone ('': any number), 6 most rooms, 7 removals kept, 8 how long rooms are kept for which nobody held a lease
-- yet; from 9 on six each: room, position that it must have ('': there must be none), record ('': remove it), its
-- place in the index before and after ('': none), whether it is gone ('1', '').
local meta = redis.call('HMGET', KEYS[1], 'head', 'token', 'epoch')
if ARGV[2] ~= '' and not is_newest(ARGV[2]) then
  return {'fenced', now}
end
if ARGV[3] ~= '' and meta[3] then
  return {'settled', now}
end
local head = meta[1]
if not head and ARGV[3] ~= '' then
  head = begin()
end
local size = redis.call('HLEN', KEYS[2])
local fit = ARGV[5] == '' and math.huge or ARGV[5] - (size - redis.call('SCARD', KEYS[7]))
local new, changes, answer = 0, {}, {'done', now}
for i = 9, #ARGV, 6 do
  local record = head and redis.call('HGET', KEYS[2], ARGV[i])
  local position = record and string.format('%.0f', (struct.unpack('>I8', record, 3))) or ''
  if position ~= ARGV[i + 1] then
    answer[#answer + 1] = (i - 9) / 6
    answer[#answer + 1] = record
  elseif record then
    changes[#changes + 1] = {i, string.byte(record, 2) ~= 0}
  elseif fit > 0 then
    fit, new = fit - 1, new + 1
    changes[#changes + 1] = {i, false}
  end
end
if new > 0 and size + new > tonumber(ARGV[6]) then
  return {'full', now}
end
if #changes == 0 then
  return answer
end
local waiting = new > 0 and redis.call('EXISTS', KEYS[9]) == 1
for _, change in ipairs(changes) do
  local i, is_held = change[1], change[2]
  local room, record, before, after = ARGV[i], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  head = math.max(head + 1, micros)
  if is_held then
    redis.call('HDEL', KEYS[5], room)
  end
  if before ~= '' and before ~= after then
    redis.call('ZREM', KEYS[4], before)
  end
  if after ~= '' then
    redis.call('ZADD', KEYS[4], 0, after)
  end
  redis.call(ARGV[i + 5] == '1' and 'SADD' or 'SREM', KEYS[7], room)
  if waiting then
    redis.call('HDEL', KEYS[9], room)
    redis.call('ZREM', KEYS[10], room)
  end
  if record == '' then
    redis.call('HDEL', KEYS[2], room)
    redis.call('ZREM', KEYS[3], room)
    redis.call('ZADD', KEYS[6], head, room)
  else
    redis.call('HSET', KEYS[2], room,
      string.sub(record, 1, 2) .. struct.pack('>I8', head) .. string.sub(record, 11))
    redis.call('ZADD', KEYS[3], head, room)
  end
end
redis.call('HSET', KEYS[1], 'head', head)
local over = redis.call('ZCARD', KEYS[6]) - ARGV[7]
if over > 0 then
  local forgotten = redis.call('ZPOPMIN', KEYS[6], over)
  redis.call('HSET', KEYS[1], 'floor', forgotten[#forgotten])
end
if not meta[2] then
  for i = 1, 8 do
    redis.call('PEXPIRE', KEYS[i], ARGV[8])
  end
end
if ARGV[4] ~= '' then
  redis.call('PUBLISH', ARGV[4], '')
end
return answer
