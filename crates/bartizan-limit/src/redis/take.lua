-- The generic cell rate algorithm by the clock of Redis, in whole microseconds, and in nanoseconds beside them for what is counted: a number
-- of Lua is exact up to 2^53.
--
-- KEYS[1]     the bucket: when it will be full again, `microseconds.nanoseconds`, and its pace; where there is none it is full
-- ARGV[1, 2]  the time in which the tokens that are asked for come back: microseconds, and nanoseconds below one
-- ARGV[3, 4]  the time in which an empty bucket fills: the same
-- ARGV[5]     the pace: nanoseconds for one token, and for the whole bucket, `interval:span`
-- ARGV[6]     `take` all or none, `charge` what is there, or `peek`
--
-- Returns two numbers of microseconds, rounded up: after how long there will be enough tokens, 0 if there were; after how long the bucket
-- will be full again.

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local cost, cost_ns = tonumber(ARGV[1]), tonumber(ARGV[2])
local whole, whole_ns = tonumber(ARGV[3]), tonumber(ARGV[4])
local pace, verb = ARGV[5], ARGV[6]

local state = redis.call('GET', KEYS[1]) or ''
local full, ns, former = string.match(state, '^(%d+)%.(%d+) (%d+:%d+)$')
full, ns = tonumber(full), tonumber(ns)
if not full or full < now then
  full, ns = now, 0
elseif former ~= pace then
  -- Of another limit: it keeps the tokens that are in it, as far as they find room.
  local interval, span = string.match(former, '(%d+):(%d+)')
  local left = math.max(span / 1000 - (full - now) - ns / 1000, 0)
  left = left * string.match(pace, '%d+') / interval
  full, ns = now + math.ceil(math.max(whole + whole_ns / 1000 - left, 0)), 0
end

-- No bucket is emptier than empty. It would be after the clock was set back.
local empty, empty_ns = now + whole, whole_ns
if full > empty or (full == empty and ns > empty_ns) then
  full, ns = empty, empty_ns
end

local after, after_ns = full + cost, ns + cost_ns
if after_ns >= 1000 then
  after, after_ns = after + 1, after_ns - 1000
end
local wait = after - empty
if after_ns > empty_ns then
  wait = wait + 1
end

if verb ~= 'peek' and (wait <= 0 or verb == 'charge') then
  if wait > 0 then
    after, after_ns = empty, empty_ns
  end
  full, ns = after, after_ns
  -- A bucket that is full again leaves.
  local rest = math.ceil((full - now) / 1000) + 1
  redis.call('SET', KEYS[1], string.format('%.0f.%.0f %s', full, ns, pace), 'PX', string.format('%.0f', rest))
end

local debt = full - now
if ns > 0 then
  debt = debt + 1
end
return { math.max(wait, 0), debt }
