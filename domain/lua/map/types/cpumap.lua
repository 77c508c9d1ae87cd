-- BPF_MAP_TYPE_CPUMAP (kernel/bpf/cpumap.c): CPUs that packets are handed to, by the sizes of their queues.
local kernel = use("base/kernel")
local map = use("map/map")
local arraymap = use("map/array/arraymap")
local fd_array = use("map/array/fd_array")
local redirect_map = use("map/redirect/redirect_map")
local session = use("base/session")
local uapi = use("uapi")

-- NR_CPUS of the kernel that was measured.
local ENTRIES_MAX, ATTACH = 256, uapi.BPF_XDP_CPUMAP
local QUEUE_MAX = 16384

-- It has no checks before that of capabilities.
local function alloc_check() end

local function alloc(attr)
  redirect_map.check_attributes(attr, uapi.BPF_F_NUMA_NODE)
  if attr.max_entries > ENTRIES_MAX then kernel.fail("E2BIG", "max_entries is more than " .. ENTRIES_MAX) end
end

-- cpu_map_update_elem(): a queue of size 0 empties the slot; a program that cannot be in it is ENOMEM.
local function update(m, key, value, flags)
  local i = arraymap.check_update(m, key, flags)
  local size, fd = redirect_map.parse(value)
  if size > QUEUE_MAX then kernel.fail("EOVERFLOW", "a queue of " .. size .. ": at most " .. QUEUE_MAX) end
  if i >= tonumber(session.cpus()) then kernel.fail("ENODEV", "there is no CPU " .. i) end
  if size == 0 then return redirect_map.clear(m, i) end
  local prog = fd and redirect_map.get_prog_id(m, fd, ATTACH)
  if fd and not prog then
    kernel.fail("ENOMEM", "fd " .. fd .. " is no xdp program with expected_attach_type " .. ATTACH
      .. " and fragments as this map's")
  end
  redirect_map.set(m, i, size, prog)
end

map.register("cpumap", {
  alloc_check = alloc_check, alloc = alloc, lookup = redirect_map.lookup, update = update,
  delete = redirect_map.delete, next_key = arraymap.next_key, page = redirect_map.page,
  entries = fd_array.entries, free = redirect_map.free, check_compatible = redirect_map.check_compatible
})
