-- Commands on ring buffers, for services. On Linux a program writes by bpf_ringbuf_output() and a process
-- reads by mmap(2) and epoll_wait(2); neither is a command of bpf(2).
local kernel = use("base/kernel")
local map_fd = use("map/map_fd")
local fd_table = use("file/fd_table")
local session = use("base/session")
local ring_records = use("map/ring/ring_records")

local sys = kernel.sys

local function open(fd, reads, writes)
  local m = map_fd.get(fd, reads, writes)
  if not m.ops.output then
    kernel.fail("ENOTSUPP", "a " .. m.type .. " is not a ring buffer: it has elements, not records")
  end
  return m
end

--[[
  Writes records into a ring buffer, as a program does by bpf_ringbuf_output() (extension).

    Input:
      fd     of the ring buffer
      flags  0, BPF_RB_NO_WAKEUP or BPF_RB_FORCE_WAKEUP
      ...    records, bytes
    Output:
      position       of the producer, in bytes
      count          of records written
      errno, detail  EAGAIN when the next one does not fit
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map, or flags has another bit
      EPERM     fd is read-only, or the map is frozen
      ENOTSUPP  the map is not a ring buffer
]]
function sys.ring_output(fd, flags, ...)
  local m = open(fd, false, true)
  return m.ops.output(m, { ... }, tonumber(flags))
end

--[[
  Reads records, as a process does by mmap(2) and epoll_wait(2) (extension). Through an fd that may write
  it consumes what is before `position`.

    Input:
      fd        of the ring buffer
      position  in bytes, "" for the position of the consumer
      limit     records
      id        of the map that the fd must be of, "" for any
    Output:
      records   position after the record, record in turn
      next      position to read on from
      missed    bytes that were overwritten before they were read
      rejected  records that did not fit, so far
      channel   on which Redis publishes new records
      id        of the map
    Errors:
      EBADF     fd is not open, or is of another map than `id`
      EINVAL    fd is not a map, or position is beyond the producer
      EPERM     fd is write-only
      ENOTSUPP  the map is not a ring buffer
]]
function sys.ring_read(fd, position, limit, id)
  local m = open(fd, true, false)
  if id ~= "" and id ~= tostring(m.id) then
    kernel.fail("EBADF", "fd " .. fd .. " was closed: it is of map " .. m.id .. " now, not of map " .. id)
  end
  local may_write = not m.frozen and fd_table.lookup(fd).mode >= 2
  local list, on, missed, failed = m.ops.read(m, tonumber(position), tonumber(limit), may_write)
  return list, on, missed, failed, kernel.key("wake", m.id), m.id
end

-- Arguments that tell of one reader.
local READER = 5

local function is_open(sid, fd, id)
  local f = fd_table.lookup(fd, sid)
  return f and f.kind == "map" and f.id == id
end

--[[
  Compares what waiting readers know with what is there (internal).

    Input: of each reader
      sid       id of its session
      fd        of the ring buffer
      id        of the map that the fd must be of
      position  up to which it has read
      rejected  records that did not fit, as far as it knows
    Output:
      places  from 0 on, of the readers that have something to read or to learn
    Errors: none
]]
function sys.ring_look(...)
  local words, places, rings, alive = { ... }, {}, {}, {}
  for at = 1, #words, READER do
    local sid, fd, id, position, rejected = unpack(words, at, at + READER - 1)
    local ring = rings[id] or ring_records.state({ record = kernel.key("map", id) })
    rings[id] = ring
    if alive[sid] == nil then alive[sid] = not current.deleting and session.is_living(sid) end
    local is_known = ring.producer == tonumber(position) and ring.failed == tonumber(rejected)
    if not (is_known and alive[sid] and is_open(sid, fd, id)) then
      places[#places + 1] = (at - 1) / READER
    end
  end
  return places
end
