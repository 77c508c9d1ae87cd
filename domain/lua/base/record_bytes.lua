-- Counts what a namespace's records of idempotency hold, which go by themselves after a day: the hash
-- idem:bytes has the bytes of each hour, and "all" for their sum.
-- Invariant: "all" is never less than what the living records hold, because an hour is taken off only when
-- the last record of it has gone.
local kernel = use("base/kernel")
local call, floor = redis.call, math.floor

local record_bytes = {}

-- How long a record is kept.
record_bytes.KEEP_MS = 86400000
-- Bytes that the records of a namespace may hold.
local MAX = 268435456
-- What a record takes beside its answer: its key, the fields, its expiry.
local RECORD = 320
local HOUR_MS = 3600000
local KEPT_HOURS = record_bytes.KEEP_MS / HOUR_MS

local function key()
  return kernel.key("idem", "bytes")
end

local function hour()
  return floor(current.wall / HOUR_MS)
end

-- Takes off the hours whose records have all gone.
local function drop_old()
  local fields, old = call("HGETALL", key()), {}
  local bytes = 0
  for i = 1, #fields, 2 do
    local of = tonumber(fields[i])
    if of and of < hour() - KEPT_HOURS then
      old[#old + 1] = fields[i]
      bytes = bytes + fields[i + 1]
    end
  end
  if #old == 0 then return end
  call("HDEL", key(), unpack(old))
  call("HINCRBY", key(), "all", -bytes)
end

-- Bytes that the records hold, and what is allowed if that is more; nothing while there is room.
function record_bytes.excess()
  local all = tonumber(call("HGET", key(), "all") or 0)
  if all < MAX then return end
  drop_old()
  all = tonumber(call("HGET", key(), "all"))
  if all >= MAX then return all, MAX end
end

function record_bytes.add(answer)
  local bytes = #answer + RECORD
  call("HINCRBY", key(), "all", bytes)
  if call("HINCRBY", key(), hour(), bytes) ~= bytes then return end
  drop_old()
  call("PEXPIRE", key(), record_bytes.KEEP_MS + 2 * HOUR_MS)
end

return record_bytes
