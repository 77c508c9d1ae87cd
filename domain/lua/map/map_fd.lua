-- Maps by the fds of their callers, and BPF_MAP_FREEZE.
local kernel = use("base/kernel")
local fd_table = use("file/fd_table")
local map = use("map/map")

local map_fd = {}

-- The map behind an fd, and the fd's access: EPERM unless it allows what is asked, a frozen map
-- nothing that writes.
function map_fd.get(fd, reads, writes)
  local f = fd_table.fget_kind(fd, "map")
  local m = map.load(f.id)
  if reads and f.mode % 2 == 0 then kernel.fail("EPERM", "fd " .. fd .. " is write-only") end
  if writes and f.mode < 2 then kernel.fail("EPERM", "fd " .. fd .. " is read-only") end
  if writes and m.frozen then kernel.fail("EPERM", "map " .. m.id .. " is frozen") end
  return m
end

-- The same whatever the access.
function map_fd.get_any(fd)
  return map.load(fd_table.fget_kind(fd, "map").id)
end

-- BPF_MAP_FREEZE: the fd must be writable; for ever, and only once.
function kernel.sys.map_freeze(fd)
  if map_fd.get_any(fd).locks then
    kernel.fail("ENOTSUPP", "a map with a bpf_spin_lock cannot be frozen")
  end
  map.freeze(map_fd.get(fd, false, true))
end

return map_fd
