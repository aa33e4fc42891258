-- Whether a request may go on: every quota, every limit and every place, all of them or none. Behind buckets.lua.
--
-- KEYS  the record of this admission, the place of its session (without one the record again: in a cluster every key
--       has to be one), then those of leases, buckets and quotas
-- ARGV  time in microseconds (empty: the server's), id, milliseconds of a lease, milliseconds of the record,
--       how many leases, buckets, quotas; then for each
--         lease   how many there may be
--         bucket  limit, period, most, cost, 1 for tokens
--         quota   unit, period, offset, limit, amount (empty: unknown), what the ledger knows (empty: not asked), and
--                 of which period (empty: any)
-- Answers {word, time, place of the session, numbers}; the numbers are
--   admitted  levels of the buckets, then totals of the quotas
--   limit     levels of the buckets, nothing charged
--   quota     total, beginning and end of the period of each quota (end 0: none)
--   full      which lease
--   ask       which quotas, each with the beginning of its period

local PERIODS = 8 -- as KEPT_PERIODS in ferryllm_proto/routing/quota.py

local now = clock(ARGV[1])
local id, lease, kept = ARGV[2], tonumber(ARGV[3]), ARGV[4]
local leases, buckets, quotas = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local key, arg = 2, 7
local place = KEYS[2] ~= KEYS[1] and redis.call('GET', KEYS[2])

local function next_arg()
  arg = arg + 1
  return ARGV[arg]
end

local function next_key()
  key = key + 1
  return KEYS[key]
end

local function text(number)
  return string.format('%.0f', number)
end

-- Days since 1970 of the first of a month (Hinnant, "chrono-compatible low-level date algorithms").
local function days_from_civil(year, month)
  if month <= 2 then
    year = year - 1
  end
  local era = math.floor(year / 400)
  local of_era = year - era * 400
  local of_year = math.floor((153 * (month + (month > 2 and -3 or 9)) + 2) / 5)
  return era * 146097 + of_era * 365 + math.floor(of_era / 4) - math.floor(of_era / 100) + of_year - 719468
end

local function civil_from_days(days)
  days = days + 719468
  local era = math.floor(days / 146097)
  local of_era = days - era * 146097
  local year = math.floor(
    (of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524) - math.floor(of_era / 146096)) / 365
  )
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local turned = math.floor((5 * of_year + 2) / 153)
  local month = turned < 10 and turned + 3 or turned - 9
  year = year + era * 400
  if month <= 2 then
    year = year + 1
  end
  return year, month
end

-- As bounds in ferryllm_proto/routing/quota.py; an end of 0 is none.
local function bounds(period, offset)
  if period == 'ever' then
    return 0, 0
  end
  local here = math.floor(now / 1000000) + offset
  local day = math.floor(here / 86400)
  if period == 'day' then
    return day * 86400 - offset, day * 86400 + 86400 - offset
  end
  local year, month = civil_from_days(day)
  local first = days_from_civil(year, month)
  local after = month == 12 and days_from_civil(year + 1, 1) or days_from_civil(year, month + 1)
  return first * 86400 - offset, after * 86400 - offset
end

-- Begin a period of a quota. A few old ones stay, for requests that end late and for a clock that jumps.
local function open(name, field, used, after, from_ledger)
  if redis.call('HLEN', name) >= PERIODS then
    local oldest
    for _, other in ipairs(redis.call('HKEYS', name)) do
      oldest = (not oldest or tonumber(other) < tonumber(oldest)) and other or oldest
    end
    redis.call('HDEL', name, oldest)
  end
  redis.call('HSET', name, field, used)
  if after > 0 then
    redis.call('EXPIREAT', name, text(after + 86400))
  end
  -- What ended before this is in the ledger's number: later.lua does not count it again. A day is longer than anybody
  -- keeps what he has to tell.
  if from_ledger then
    redis.call('SET', name .. ':since', text(now / 1000), 'EX', 86400)
  end
end

-- What is asked for, and how everything stands.

local held, taken, spent = {}, {}, {}

for at = 1, leases do
  held[at] = {key = next_key(), most = tonumber(next_arg())}
end

local over, never, levels, changed = false, false, {}, {} -- never: it does not get through, so the rest is not looked at
for at = 1, buckets do
  local name = next_key()
  local limit, period, most = tonumber(next_arg()), tonumber(next_arg()), tonumber(next_arg())
  local cost, tokens = tonumber(next_arg()), next_arg() == '1'
  local bucket = load(name, now) or fresh(now, limit, period, most)
  if bucket.limit ~= limit or bucket.period ~= period or bucket.most ~= most then
    -- The configuration changed: what was used is used under the new limit too.
    local room = math.max(math.floor((bucket.most * each(bucket) - bucket.level) / each(bucket)), 0)
    local used, before = bucket.most - room, bucket.born
    bucket = fresh(now, limit, period, most)
    bucket.level = math.min(used, most) * each(bucket)
    bucket.born = math.max(now, before + 1)
    changed[#changed + 1] = not never and {name, bucket} or nil
  end
  never = never or cost > most
  over = over or never or bucket.level > (most - cost) * each(bucket)
  levels[at] = bucket.level
  taken[at] = {key = name, bucket = bucket, cost = cost, tokens = tokens}
end

local full, unknown = false, {}
for at = 1, quotas do
  local name, unit, period, offset = next_key(), next_arg(), next_arg(), tonumber(next_arg())
  local limit, amount = tonumber(next_arg()), next_arg()
  local restored, of = next_arg(), next_arg()
  local begin, after = bounds(period, offset)
  local field = text(begin)
  local total = tonumber(redis.call('HGET', name, field))
  if not total then
    if restored == '' or (of ~= '' and of ~= field) then
      unknown[#unknown + 1] = at
      unknown[#unknown + 1] = begin
    else
      total = tonumber(restored)
      open(name, field, restored, after, of ~= '')
    end
  end
  total = total or 0
  -- What is unknown needs at least some room; what is known to take nothing needs none.
  local room = amount == '' and 1 or tonumber(amount)
  if room > 0 and total + room > limit then
    full = true
  end
  spent[at] = {
    key = name, begin = begin, after = after, total = total, amount = tonumber(amount) or 0, unit = unit, field = field
  }
end

-- What becomes of it.

if #unknown > 0 then
  return {'ask', now, place, unknown}
end
if full then
  local out = {}
  for _, one in ipairs(spent) do
    out[#out + 1] = one.total
    out[#out + 1] = one.begin
    out[#out + 1] = one.after
  end
  return {'quota', now, place, out}
end
for _, one in ipairs(changed) do
  save(one[1], one[2])
end
if over then
  return {'limit', now, place, levels}
end
local until_ = now / 1000 + lease
for at, one in ipairs(held) do
  redis.call('ZREMRANGEBYSCORE', one.key, '-inf', text(now / 1000))
  if one.most >= 0 and redis.call('ZCARD', one.key) >= one.most then
    return {'full', now, place, {at}}
  end
end

-- It may go on.

local record = {buckets = {}, quotas = {}}
for _, one in ipairs(held) do
  redis.call('ZADD', one.key, text(until_), id)
  redis.call('PEXPIRE', one.key, text(lease * 2))
end
for at, one in ipairs(taken) do
  local bucket = one.bucket
  bucket.level = bucket.level + one.cost * each(bucket)
  save(one.key, bucket)
  levels[at] = bucket.level
  record.buckets[at] = {
    key = one.key, cost = one.cost, tokens = one.tokens, level = bucket.level, given = bucket.given, age = bucket.age,
    born = bucket.born, limit = bucket.limit, period = bucket.period, most = bucket.most
  }
end
for at, one in ipairs(spent) do
  if one.amount > 0 then
    redis.call('HINCRBY', one.key, one.field, text(one.amount))
  end
  levels[#levels + 1] = one.total + one.amount
  record.quotas[at] = {key = one.key, field = one.field, amount = one.amount, unit = one.unit}
end
if buckets + quotas > 0 then
  redis.call('SET', KEYS[1], cmsgpack.pack(record), 'PX', kept)
end
return {'admitted', now, place, levels}
