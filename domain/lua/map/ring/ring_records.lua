-- The records of a ring buffer as they are stored: entries of a Redis stream, and the numbers of the map's
-- record that go with them. types/ringbuf.lua has the invariant.
local kernel = use("base/kernel")
local uapi = use("uapi")
local call = redis.call

local ring_records = {}

local HEADER = uapi.BPF_RINGBUF_HDR_SZ
-- Record space that one reading shows, or one record when that is more, and how many at most.
local READ_BYTES, READ_RECORDS = 65536, 500

local FIELDS = { "producer", "consumer", "produced", "consumed", "failed" }

function ring_records.state(m)
  local ring = {}
  for i, value in ipairs(call("HMGET", m.record, unpack(FIELDS))) do
    ring[FIELDS[i]] = tonumber(value or 0)
  end
  return ring
end

-- Numbers as text: Lua's own way is short of digits from 10^14 on.
function ring_records.entry_id(position, number)
  return ("%.0f-%.0f"):format(position, number)
end

-- Bytes that a record takes, with its header, rounded up.
function ring_records.span(data)
  return math.ceil(#data / 8) * 8 + HEADER
end

-- Positions after records and the records by turns, from a stream's entries.
local function append(list, entries)
  for _, entry in ipairs(entries) do
    local data = entry[2][2]
    list[#list + 1] = tonumber(entry[1]:match("^%d+")) + ring_records.span(data)
    list[#list + 1] = data
  end
end

-- The first record from `from` on is read apart from the others, for what is before it may be gone.
function ring_records.read_from(m, from, limit)
  local elements, list = kernel.key("elem", m.id), {}
  local first = call("XRANGE", elements, ring_records.entry_id(from, 0), "+", "COUNT", 1)
  if not first[1] then return list end
  local position, number = first[1][1]:match("^(%d+)-(%d+)$")
  position, number = tonumber(position), tonumber(number)
  if limit > 0 then append(list, first) end
  if limit > 1 then
    local before, most = ring_records.entry_id(position + READ_BYTES, 0), math.min(limit, READ_RECORDS) - 1
    append(list, call("XRANGE", elements, "(" .. first[1][1], before, "COUNT", most))
  end
  return list, position, number
end

return ring_records
