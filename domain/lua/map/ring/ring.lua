-- Commands on ring buffers: what a program does by bpf_ringbuf_output() and a process by mmap(2) and
-- epoll_wait(2), for services. Neither is a command of bpf(2).
local kernel = use("base/kernel")
local map_fd = use("map/map_fd")
local fd_table = use("file/fd_table")

local sys = kernel.sys

local function open(fd, reads, writes)
  local m = map_fd.get(fd, reads, writes)
  if not m.ops.output then kernel.fail("ENOTSUPP", "a " .. m.type .. " has elements, not records") end
  return m
end

-- The producer's position and how many records were taken; when not all, EAGAIN and why.
function sys.ring_output(fd, flags, ...)
  local m = open(fd, false, true)
  return m.ops.output(m, { ... }, tonumber(flags))
end

-- Records from a position on ("": the consumer's), and the channel on which a new one is told. Through
-- an fd that cannot write one only watches.
function sys.ring_read(fd, position, limit)
  local m = open(fd, true, false)
  local may_write = not m.frozen and fd_table.lookup(fd).mode >= 2
  local list, on, missed, failed = m.ops.read(m, tonumber(position), tonumber(limit), may_write)
  return list, on, missed, failed, kernel.key("wake", m.id)
end
