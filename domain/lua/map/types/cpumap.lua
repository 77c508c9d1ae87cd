-- BPF_MAP_TYPE_CPUMAP (kernel/bpf/cpumap.c): CPUs that packets are handed to, by the sizes of their queues.
local kernel = use("kernel")
local index = use("index")
local fd_array = use("fd_array")
local redirect = use("redirect")
local session = use("session")

local FLAGS = 4
-- NR_CPUS of the kernel that was measured, BPF_XDP_CPUMAP.
local ENTRIES_MAX, ATTACH = 256, 35
local QUEUE_MAX = 16384

-- It has no checks before that of capabilities.
local function alloc_check() end

local function alloc(attr)
  redirect.check_attributes(attr, FLAGS)
  if attr.max_entries > ENTRIES_MAX then kernel.fail("E2BIG", "max_entries is more than " .. ENTRIES_MAX) end
end

-- cpu_map_update_elem(): a queue of size 0 empties the slot; a program that cannot be in it is ENOMEM.
local function update(m, key, value, flags)
  local i = index.check_update(m, key, flags)
  local size, fd = redirect.parse(value)
  if size > QUEUE_MAX then kernel.fail("EOVERFLOW", "a queue of " .. size .. ": at most " .. QUEUE_MAX) end
  if i >= tonumber(session.cpus()) then kernel.fail("ENODEV", "there is no CPU " .. i) end
  if size == 0 then return redirect.clear(m, i) end
  local prog = fd and redirect.resolve(m, fd, ATTACH)
  if fd and not prog then
    kernel.fail("ENOMEM", "fd " .. fd .. " is no xdp program with expected_attach_type " .. ATTACH
      .. " and fragments as this map's")
  end
  redirect.set(m, i, size, prog)
end

return { alloc_check = alloc_check, alloc = alloc, lookup = redirect.lookup, update = update,
  delete = redirect.delete, next_key = index.next_key, page = redirect.page,
  entries = fd_array.entries, free = redirect.free, adopt = redirect.adopt }
