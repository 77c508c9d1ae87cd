-- BPF_MAP_TYPE_PERCPU_ARRAY (kernel/bpf/arraymap.c): a value holds one for each CPU.
local kernel = use("base/kernel")
local map = use("map/map")
local map_btf = use("map/map_btf")
local arraymap = use("map/array/arraymap")
local uapi = use("uapi")

local PERCPU_MAX = 32768

local function alloc_check(attr)
  arraymap.alloc_check(attr, 0)
  if bit.band(attr.map_flags, uapi.BPF_F_NUMA_NODE) ~= 0 then
    map.einval("BPF_F_NUMA_NODE is not allowed: the map is spread over all CPUs")
  end
  if attr.value_size > PERCPU_MAX then
    kernel.fail("E2BIG", "value_size must be at most " .. PERCPU_MAX .. ", got " .. attr.value_size)
  end
end

local function alloc(attr)
  arraymap.check_room(attr, map.percpu_bytes(attr.value_size, attr.cpus))
end

map.register("percpu_array", {
  alloc_check = alloc_check, alloc = alloc, lookup = arraymap.lookup,
  lookup_trimmed = arraymap.lookup_trimmed, lookup_many = arraymap.lookup_many,
  update = arraymap.update, delete = arraymap.delete, next_key = arraymap.next_key,
  page = arraymap.page, entries = arraymap.entries, dump_all = arraymap.dump_all, free = arraymap.free,
  batch_kind = "array", is_percpu = true,
  check_btf = arraymap.check_btf, special_fields = map_btf.POINTERS
})
