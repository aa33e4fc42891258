-- What can be told to the server later, for many requests at once. Behind buckets.lua.
--
-- KEYS  the mark of this batch: it is done once, however often it is told
-- ARGV  time in microseconds (empty: the server's), milliseconds that the mark stays; then one after the other
--   settle  record, Unix milliseconds of its end, 1 for took place, tokens, cost (empty: unknown), how many accounts;
--           for each: key, period, unit, amount that was set aside. They count where the record is lost, or where there
--           never was one
--   leave   key of the leases, id
--   renew   key of the leases, id, milliseconds of the lease, record, milliseconds of the record
--   pin     key, place, milliseconds
--   unpin   key, place: forgotten if it is still this one
-- Answers how many requests were settled, -1 where the batch was done before.

local now = clock(ARGV[1])
if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[2]) then
  return -1
end
local arg, settled = 2, 0

local function next_arg()
  arg = arg + 1
  return ARGV[arg]
end

local function text(number)
  return string.format('%.0f', number)
end

local function took(unit, tokens, cost, amount)
  if unit == 'requests' then
    return 1
  end
  return (unit == 'tokens' and tokens or nil) or (unit == 'cost' and cost or nil) or amount
end

local function count(key, field, amount)
  -- A period that is not there is so long ago that nobody counts it, or will be taken from the ledger.
  if amount ~= 0 and redis.call('HEXISTS', key, field) == 1 then
    redis.call('HINCRBY', key, field, text(amount))
  end
end

local kinds = {}

function kinds.settle()
  local name, ended, place = next_arg(), tonumber(next_arg()), next_arg() == '1'
  local tokens, cost = tonumber(next_arg()), tonumber(next_arg())
  local accounts = {}
  for at = 1, tonumber(next_arg()) do
    accounts[at] = {key = next_arg(), field = next_arg(), unit = next_arg(), amount = tonumber(next_arg())}
  end
  local raw = name ~= '' and redis.call('GET', name)
  if not raw then
    for _, one in ipairs(accounts) do
      if place and ended > (tonumber(redis.call('GET', one.key .. ':since')) or 0) then
        count(one.key, one.field, took(one.unit, tokens, cost, one.amount))
      end
    end
    return
  end
  redis.call('DEL', name)
  settled = settled + 1
  local record = cmsgpack.unpack(raw)
  for _, one in ipairs(record.buckets) do
    if not place then
      correct(one.key, one, 0, now)
    elseif one.tokens and tokens then
      correct(one.key, one, tokens, now)
    end
  end
  for _, one in ipairs(record.quotas) do
    count(one.key, one.field, (place and took(one.unit, tokens, cost, one.amount) or 0) - one.amount)
  end
end

function kinds.leave()
  redis.call('ZREM', next_arg(), next_arg())
end

function kinds.renew()
  local name, id, lease, record, kept = next_arg(), next_arg(), tonumber(next_arg()), next_arg(), next_arg()
  if name ~= '' then
    redis.call('ZADD', name, text(now / 1000 + lease), id)
    redis.call('PEXPIRE', name, text(lease * 2))
  end
  redis.call('PEXPIRE', record, kept)
end

function kinds.pin()
  redis.call('SET', next_arg(), next_arg(), 'PX', next_arg())
end

function kinds.unpin()
  local name, place = next_arg(), next_arg()
  if redis.call('GET', name) == place then
    redis.call('DEL', name)
  end
end

while arg < #ARGV do
  kinds[next_arg()]()
end
return settled
