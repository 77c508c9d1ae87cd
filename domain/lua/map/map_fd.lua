-- Access to maps by fd, and BPF_MAP_FREEZE.
local kernel = use("base/kernel")
local fd_table = use("file/fd_table")
local map = use("map/map")
local call = redis.call

local map_fd = {}

-- The map behind fd; fails with EPERM unless the fd allows to read or write as asked, and for a write to a
-- frozen map.
function map_fd.get(fd, reads, writes)
  local f = fd_table.fget_kind(fd, "map")
  local m = map.load(f.id)
  if reads and f.mode % 2 == 0 then
    kernel.fail("EPERM", "fd " .. fd .. " is write-only (BPF_F_WRONLY), the command reads")
  end
  if writes and f.mode < 2 then
    kernel.fail("EPERM", "fd " .. fd .. " is read-only (BPF_F_RDONLY), the command writes")
  end
  if writes and m.frozen then
    kernel.fail("EPERM", "map " .. m.id .. " is frozen: system calls only read it")
  end
  return m
end

-- The map behind fd, whatever the fd allows.
function map_fd.get_any(fd)
  return map.load(fd_table.fget_kind(fd, "map").id)
end

--[[
  BPF_MAP_FREEZE (kernel: map_freeze()): forbids system calls to change the map, for ever.

    Input:
      fd  of the map, writable
    Output: nothing
    Errors:
      EBADF     fd is not open
      EINVAL    fd is not a map
      ENOTSUPP  the values have a bpf_spin_lock or another special field
      EPERM     fd is read-only, or the map is frozen
]]
function kernel.sys.map_freeze(fd)
  local m = map_fd.get_any(fd)
  if m.locks or call("HEXISTS", m.record, "special") == 1 then
    kernel.fail("ENOTSUPP", "a map with a bpf_spin_lock or another special field cannot be frozen")
  end
  map.freeze(map_fd.get(fd, false, true))
end

return map_fd
