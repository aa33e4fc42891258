-- Circuits that are open somewhere. KEYS: the hash of them. ARGV: then, one after the other, name, and for how many
-- milliseconds (0: it is closed again).
-- Answers names and milliseconds of all that are open.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function text(number)
  return string.format('%.0f', number)
end

for at = 1, #ARGV, 2 do
  local name, lasting = ARGV[at], tonumber(ARGV[at + 1])
  local known = tonumber(redis.call('HGET', KEYS[1], name)) or 0
  if lasting == 0 then
    redis.call('HDEL', KEYS[1], name)
  elseif now + lasting > known then
    redis.call('HSET', KEYS[1], name, text(now + lasting))
  end
end

local out, latest, all = {}, 0, redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local left = tonumber(all[at + 1]) - now
  if left <= 0 then
    redis.call('HDEL', KEYS[1], all[at])
  else
    latest = math.max(latest, left)
    out[#out + 1] = all[at]
    out[#out + 1] = left
  end
end
if latest > 0 then
  redis.call('PEXPIRE', KEYS[1], text(latest))
end
return out
