-- Kept responses. KEYS: how all their keys begin. ARGV: what is asked, then its own.
--
-- For each response a hash; what it is found by, beside it:
--   one:<owner><id>   the response itself        used:<owner>   ids by their last use
--   created           all, by their time         sizes          owners by what theirs take together
--   known:<id>        how many owners have it    item:<owner><item>   ids of responses, the newest last
--   totals            bytes, count, and the clock of uses

local base = KEYS[1]
local arg = 1

local function next_arg()
  arg = arg + 1
  return ARGV[arg]
end

local function text(number)
  return string.format('%.0f', number)
end

-- Behind its length, so that no two pairs are one.
local function pair(owner, id)
  return #owner .. ':' .. owner .. id
end

local function parts(member)
  local digits = string.match(member, '^%d+')
  local begin = #digits + 2
  return string.sub(member, begin, begin + tonumber(digits) - 1), string.sub(member, begin + tonumber(digits))
end

local function tick()
  return redis.call('HINCRBY', base .. 'totals', 'clock', 1)
end

local function forget(owner, id)
  local name = pair(owner, id)
  local found = redis.call('HMGET', base .. 'one:' .. name, 'size', 'ids')
  redis.call('ZREM', base .. 'used:' .. owner, id)
  redis.call('ZREM', base .. 'created', name)
  if not found[1] then
    return false
  end
  redis.call('DEL', base .. 'one:' .. name)
  redis.call('HINCRBY', base .. 'totals', 'bytes', -found[1])
  redis.call('HINCRBY', base .. 'totals', 'count', -1)
  if tonumber(redis.call('ZINCRBY', base .. 'sizes', -found[1], owner)) <= 0 then
    redis.call('ZREM', base .. 'sizes', owner)
  end
  if redis.call('DECR', base .. 'known:' .. id) <= 0 then
    redis.call('DEL', base .. 'known:' .. id)
  end
  for _, item in ipairs(cmsgpack.unpack(found[2])) do
    redis.call('ZREM', base .. 'item:' .. pair(owner, item), id)
  end
  return true
end

local function over(most_bytes, most_count)
  local totals = redis.call('HMGET', base .. 'totals', 'bytes', 'count')
  return tonumber(totals[1]) > most_bytes or tonumber(totals[2]) > most_count
end

-- Forget what was used longest ago by whoever has most, but never the newest of all.
local function make_room(new_owner, new_id)
  for _, owner in ipairs(redis.call('ZREVRANGE', base .. 'sizes', 0, 1)) do
    for _, id in ipairs(redis.call('ZRANGE', base .. 'used:' .. owner, 0, 1)) do
      if owner ~= new_owner or id ~= new_id then
        forget(owner, id)
        return true
      end
    end
  end
  return false
end

local kinds = {}

function kinds.put()
  local owner, id, created, size = next_arg(), next_arg(), next_arg(), next_arg()
  local most_bytes, most_count = tonumber(next_arg()), tonumber(next_arg())
  forget(owner, id)
  local name, number = pair(owner, id), tick()
  local fields = {
    'created', created, 'size', size, 'provider', next_arg(), 'native', next_arg(), 'model', next_arg(),
    'response', next_arg(), 'input', next_arg(), 'output', next_arg()
  }
  local ids = {}
  while arg < #ARGV do
    ids[#ids + 1] = next_arg()
    redis.call('ZADD', base .. 'item:' .. pair(owner, ids[#ids]), number, id)
  end
  redis.call('HSET', base .. 'one:' .. name, 'ids', cmsgpack.pack(ids), unpack(fields))
  redis.call('ZADD', base .. 'used:' .. owner, number, id)
  redis.call('ZADD', base .. 'created', created, name)
  redis.call('ZINCRBY', base .. 'sizes', size, owner)
  redis.call('INCR', base .. 'known:' .. id)
  redis.call('HINCRBY', base .. 'totals', 'bytes', size)
  redis.call('HINCRBY', base .. 'totals', 'count', 1)
  while over(most_bytes, most_count) and make_room(owner, id) do
  end
end

function kinds.get()
  local owner, id, oldest = next_arg(), next_arg(), tonumber(next_arg())
  local found = redis.call(
    'HMGET', base .. 'one:' .. pair(owner, id), 'created', 'provider', 'native', 'model', 'response', 'input', 'output'
  )
  if not found[1] or tonumber(found[1]) <= oldest then
    return false
  end
  redis.call('ZADD', base .. 'used:' .. owner, tick(), id)
  return found
end

-- Answers item, response, place for each that is found, then response, input, output of each of these.
function kinds.items()
  local owner, oldest = next_arg(), tonumber(next_arg())
  local where, holders, seen = {}, {}, {}
  while arg < #ARGV do
    local item = next_arg()
    for _, id in ipairs(redis.call('ZREVRANGE', base .. 'item:' .. pair(owner, item), 0, -1)) do
      local found = redis.call('HMGET', base .. 'one:' .. pair(owner, id), 'created', 'ids', 'input', 'output')
      if found[1] and tonumber(found[1]) > oldest then
        for place, other in ipairs(cmsgpack.unpack(found[2])) do
          if other == item then
            where[#where + 1] = {item, id, place - 1}
          end
        end
        if not seen[id] then
          seen[id] = true
          holders[#holders + 1] = {id, found[3], found[4]}
          redis.call('ZADD', base .. 'used:' .. owner, tick(), id)
        end
        break
      end
    end
  end
  return {where, holders}
end

function kinds.known()
  return redis.call('EXISTS', base .. 'known:' .. next_arg())
end

function kinds.delete()
  return forget(next_arg(), next_arg()) and 1 or 0
end

function kinds.sweep()
  local gone, most = 0, 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', base .. 'created', '-inf', next_arg(), 'LIMIT', 0, next_arg())) do
    most = most + 1
    if forget(parts(member)) then
      gone = gone + 1
    end
  end
  return {most, gone}
end

return kinds[ARGV[1]]()
