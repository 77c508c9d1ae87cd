-- BPF_MAP_TYPE_CPUMAP (kernel/bpf/cpumap.c): CPUs that packets are handed to, by the sizes of their queues.
local kernel = use("base/kernel")
local map = use("map/map")
local map_btf = use("map/map_btf")
local arraymap = use("map/array/arraymap")
local fd_array = use("map/array/fd_array")
local redirect_map = use("map/redirect/redirect_map")
local session = use("base/session")
local uapi = use("uapi")

-- NR_CPUS of the kernel that was measured.
local ENTRIES_MAX, ATTACH = 256, uapi.BPF_XDP_CPUMAP
local QUEUE_MAX = 16384

-- The kernel checks nothing before the capabilities.
local function alloc_check() end

local function alloc(attr)
  redirect_map.check_attributes(attr, uapi.BPF_F_NUMA_NODE)
  if attr.max_entries > ENTRIES_MAX then
    kernel.fail("E2BIG", "max_entries must be at most " .. ENTRIES_MAX .. ", got " .. attr.max_entries)
  end
end

-- cpu_map_update_elem(): a queue of size 0 empties the slot; a program that the map cannot hold is ENOMEM.
local function update(m, key, value, flags)
  local i = arraymap.check_update(m, key, flags)
  local size, fd = redirect_map.parse(value)
  if size > QUEUE_MAX then
    kernel.fail("EOVERFLOW", "the queue size must be at most " .. QUEUE_MAX .. ", got " .. size)
  end
  if i >= tonumber(session.cpus()) then
    kernel.fail("ENODEV", "there is no CPU " .. i .. ", the namespace has " .. session.cpus())
  end
  if size == 0 then return redirect_map.clear(m, i) end
  local prog = fd and redirect_map.get_prog_id(m, fd, ATTACH)
  if fd and not prog then
    kernel.fail("ENOMEM", "fd " .. fd .. " must be an xdp program with expected_attach_type " .. ATTACH
      .. " and the BPF_F_XDP_HAS_FRAGS of this map")
  end
  redirect_map.set(m, i, size, prog)
end

map.register("cpumap", {
  alloc_check = alloc_check, alloc = alloc, lookup = redirect_map.lookup, update = update,
  delete = redirect_map.delete, next_key = arraymap.next_key, page = redirect_map.page,
  entries = fd_array.entries, free = redirect_map.free, clear = redirect_map.free,
  check_compatible = redirect_map.check_compatible,
  check_btf = map_btf.unsupported
})
