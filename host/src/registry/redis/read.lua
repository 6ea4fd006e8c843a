-- Rooms as they are, for a change to be worked out from. ARGV: 2 token ('': whoever), 3 how long a provisional report
-- is kept, 4… rooms.
if ARGV[2] ~= '' and not is_newest(ARGV[2]) then
  return {'fenced', now}
end
local waiting = redis.call('EXISTS', KEYS[9]) == 1
local answer = {'read', now, redis.call('HGET', KEYS[1], 'epoch')}
for i = 4, #ARGV do
  answer[#answer + 1] = redis.call('HGET', KEYS[2], ARGV[i])
  local heard = waiting and redis.call('ZSCORE', KEYS[10], ARGV[i])
  local kept = heard and now - heard < tonumber(ARGV[3])
  answer[#answer + 1] = kept and redis.call('HGET', KEYS[9], ARGV[i]) or false
end
return answer
