-- Counts one call against all of its limits or against none (generic cell rate).
-- KEYS: a bucket a limit. ARGV: for each its interval and its burst; times in microseconds.
-- Answers with strings: the number of the limit that says no (0: none) and the wait.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local after = {}
for i, key in ipairs(KEYS) do
  local interval = tonumber(ARGV[2 * i - 1])
  local room = interval * tonumber(ARGV[2 * i])
  local full = tonumber(redis.call('GET', key) or now) or now
  -- A bucket from before the clock moved is empty, or at most full.
  full = math.min(math.max(full, now), now + room)
  local over = full + interval - (now + room)
  if over > 0 then
    return {string.format('%d', i), string.format('%.0f', over)}
  end
  after[i] = full + interval
end
for i, key in ipairs(KEYS) do
  local lives = math.ceil((after[i] - now) / 1000) + 1
  redis.call('SET', key, string.format('%.0f', after[i]), 'PX', string.format('%.0f', lives))
end
return {'0', '0'}
