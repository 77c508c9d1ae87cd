-- BPF_MAP_TYPE_RINGBUF (kernel/bpf/ringbuf.c): records by position in a Redis stream. Positions are bytes
-- that only grow: the producer's, and the consumer's, which frees all records before it. A consumed record
-- stays readable until it is overwritten, as in the kernel's memory.
-- Invariant: a record's entry is <its position>-<its number>; both continue without gaps up to those of the
-- map's record, and all records kept start within max_entries bytes of the producer.
local kernel = use("base/kernel")
local map = use("map/map")
local ring_records = use("map/ring/ring_records")
local uapi = use("uapi")
local call = redis.call
local state, entry_id, span = ring_records.state, ring_records.entry_id, ring_records.span

local PAGE = 4096
local RECORD, FLAGS = uapi.WRITE_AT.output.value, uapi.WRITE_AT.output.flags
local NO_WAKEUP, FORCE_WAKEUP = uapi.BPF_RB_NO_WAKEUP, uapi.BPF_RB_FORCE_WAKEUP

local function alloc_check() end

-- ringbuf_map_alloc()
local function alloc(attr)
  if bit.band(attr.map_flags, bit.bnot(uapi.BPF_F_NUMA_NODE)) ~= 0 then
    map.einval("map_flags must be 0 or BPF_F_NUMA_NODE (4), got " .. attr.map_flags)
  end
  if attr.key_size ~= 0 then map.einval("key_size must be 0, got " .. attr.key_size) end
  if attr.value_size ~= 0 then map.einval("value_size must be 0, got " .. attr.value_size) end
  local size = attr.max_entries
  if size == 0 or bit.band(size, size - 1) ~= 0 or size % PAGE ~= 0 then
    map.einval("max_entries must be a power of 2 and at least " .. PAGE .. ", got " .. size)
  end
end

local function unsupported()
  kernel.fail("ENOTSUPP", "a ring buffer has records, not elements: use output and read")
end

local function store(m, ring, records, count)
  local elements, position = kernel.key("elem", m.id), ring.producer
  for i = 1, count do
    call("XADD", elements, entry_id(position, ring.produced + i), "d", records[i])
    position = position + span(records[i])
  end
  call("HSET", m.record, "producer", position, "produced", ring.produced + count)
end

-- Returns how many of these records fit, and the position of the producer after them.
local function admitted(m, ring, records)
  local position, count = ring.producer, 0
  for _, data in ipairs(records) do
    local after = position + span(data)
    if after - ring.consumer > m.max_entries - 1 then break end
    position, count = after, count + 1
  end
  return count, position
end

local function fits(m, records)
  return admitted(m, state(m), records) == #records
end

-- The position of the producer and of the consumer.
local function positions(m)
  local ring = state(m)
  return { ring.producer, ring.consumer }
end

-- bpf_ringbuf_output() for one record after the other until one does not fit. Returns the position of the
-- producer and the number of records written. A record that does not fit is counted, and EAGAIN and the
-- reason are returned as well. PUBLISH comes first, because it is the write that Redis may refuse.
local function output(m, records, flags)
  if flags > NO_WAKEUP + FORCE_WAKEUP then
    map.einval("flags must be from 0 to 3 (BPF_RB_NO_WAKEUP 1, BPF_RB_FORCE_WAKEUP 2), got " .. flags)
  end
  local ring = state(m)
  local count, position = admitted(m, ring, records)
  local refused = records[count + 1]
  if count > 0 then
    if flags ~= NO_WAKEUP then call("PUBLISH", kernel.key("wake", m.id), "") end
    local oldest = position - m.max_entries
    if oldest > 0 then call("XTRIM", kernel.key("elem", m.id), "MINID", entry_id(oldest, 0)) end
    store(m, ring, records, count)
  end
  if not refused then return position, count end
  map.count_failure(m.id)
  local never = span(refused) >= m.max_entries
    and ": it never fits, a record and its header must be smaller than the buffer" or ""
  return position, count, "EAGAIN", "the ring buffer has no room for a record of " .. #refused
    .. " bytes" .. never
end

-- Writes the records of a run. Consecutive records with the same flags are written together.
local function apply(m, ops)
  local records = {}
  for i, op in ipairs(ops) do
    records[#records + 1] = op[RECORD]
    if not ops[i + 1] or ops[i + 1][FLAGS] ~= op[FLAGS] then
      output(m, records, op[FLAGS])
      records = {}
    end
  end
end

-- Returns the records from a position on (nil: the consumer's), the position to continue at, the bytes lost
-- in between, and the number of records rejected so far. A reader with write access has consumed all records
-- before the position: reading sets the consumer's position, as a write to its mmap(2) page does.
local function read(m, from, limit, may_write)
  local ring = state(m)
  from = from or ring.consumer
  if from > ring.producer then
    map.einval(("position must be at most %.0f, the producer's, got %.0f"):format(ring.producer, from))
  end
  local list, first, number = {}, nil, nil
  if from < ring.producer then list, first, number = ring_records.read_from(m, from, limit) end
  if may_write and from > ring.consumer then
    local consumed = number and number - 1 or ring.produced
    call("HSET", m.record, "consumer", from, "consumed", consumed)
  end
  local start = first or ring.producer
  local on = list[#list - 1] or (limit > 0 and start or from)
  return list, on, start - from, ring.failed
end

-- The number of records that are not consumed yet.
local function entries(m)
  local ring = state(m)
  return ring.produced - ring.consumed
end

local function free(id)
  call("UNLINK", kernel.key("elem", id))
end

map.register("ringbuf", {
  alloc_check = alloc_check, alloc = alloc, lookup = unsupported, update = unsupported,
  delete = unsupported, next_key = unsupported, page = unsupported, entries = entries, free = free,
  output = output, apply = apply, read = read, positions = positions, fits = fits
})
