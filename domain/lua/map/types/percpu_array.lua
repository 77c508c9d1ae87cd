-- BPF_MAP_TYPE_PERCPU_ARRAY (kernel/bpf/arraymap.c): a value holds one for each CPU.
local kernel = use("kernel")
local map = use("map")
local index = use("index")

local NUMA_NODE, PERCPU_MAX = 4, 32768

local function alloc_check(attr)
  index.alloc_check(attr, 0)
  if bit.band(attr.map_flags, NUMA_NODE) ~= 0 then
    map.invalid("BPF_F_NUMA_NODE: the map is spread over all CPUs")
  end
  if attr.value_size > PERCPU_MAX then
    kernel.fail("E2BIG", "value_size is more than " .. PERCPU_MAX)
  end
end

local function alloc(attr)
  index.check_room(attr, map.percpu_bytes(attr.value_size, attr.cpus))
end

return { alloc_check = alloc_check, alloc = alloc, lookup = index.lookup, many = index.many,
  update = index.update, delete = index.delete, next_key = index.next_key, page = index.page,
  entries = index.entries, image = index.image, free = index.free, batches = "array", percpu = true }
