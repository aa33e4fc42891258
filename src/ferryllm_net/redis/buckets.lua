-- A bucket of requests or tokens: GCRA as in ferryllm_proto/routing/rates.py, with the same results.
--
-- Lua's numbers are doubles, so nothing here is an absolute time in fine units. A bucket is eight of them:
--   level  what is in it, in microseconds times the limit: `each` of them drain for one request or token
--   seen   when that was, in microseconds of the server's clock
--   given  what was given back so far
--   age    microseconds that went by since it was made; a clock that jumps back adds none
--   born   when it was made: two with one name are told apart by it
--   limit, period, most   what it was made for
-- They are whole numbers, and exact below 2^53: with limits of up to 150 million a minute.

local MARGIN = 60000 -- milliseconds that a drained bucket stays: it is as a new one, so it need not be in time

local function fresh(now, limit, period, most)
  return {level = 0, seen = now, given = 0, age = 0, born = now, limit = limit, period = period, most = most}
end

local function drain(bucket, now)
  local gone = now - bucket.seen
  bucket.seen = now
  if gone > 0 then
    bucket.age = bucket.age + gone
    bucket.level = math.max(bucket.level - gone * bucket.limit, 0)
  end
end

local function load(key, now)
  local raw = redis.call('GET', key)
  if not raw then
    return nil
  end
  local level, seen, given, age, born, limit, period, most = struct.unpack('<dddddddd', raw)
  local bucket = {
    level = level, seen = seen, given = given, age = age, born = born, limit = limit, period = period, most = most
  }
  drain(bucket, now)
  return bucket
end

local function save(key, bucket)
  local raw = struct.pack(
    '<dddddddd', bucket.level, bucket.seen, bucket.given, bucket.age, bucket.born, bucket.limit, bucket.period,
    bucket.most
  )
  redis.call('SET', key, raw, 'PX', string.format('%.0f', math.ceil(bucket.level / bucket.limit / 1000) + MARGIN))
end

local function each(bucket)
  return bucket.period * 1000000
end

-- It was `cost` in truth, and `taken` said otherwise. What has drained meanwhile was room for others.
local function correct(key, taken, cost, now)
  local bucket = load(key, now)
  local more = cost - taken.cost
  if not bucket then
    if more <= 0 then
      return
    end
    bucket = fresh(now, taken.limit, taken.period, taken.most)
  end
  more = more * each(bucket)
  if more < 0 then
    if bucket.born ~= taken.born then
      return
    end
    local undrained = taken.level - (bucket.age - taken.age) * bucket.limit - (bucket.given - taken.given)
    more = -math.max(math.min(-more, undrained, bucket.level), 0)
    bucket.given = bucket.given - more
  end
  bucket.level = bucket.level + more
  save(key, bucket)
end

local function clock(told)
  if told ~= '' then
    return tonumber(told)
  end
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end
