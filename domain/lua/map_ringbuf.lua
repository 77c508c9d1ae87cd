-- BPF_MAP_TYPE_RINGBUF (kernel/bpf/ringbuf.c)
local kernel = use("kernel")
local map = use("map")
local call = redis.call

local NUMA_NODE, PAGE = 4, 4096

local function alloc_check() end

-- ringbuf_map_alloc()
local function alloc(attr)
  if bit.band(attr.map_flags, bit.bnot(NUMA_NODE)) ~= 0 then
    map.invalid("map_flags " .. attr.map_flags .. " for this type")
  end
  if attr.key_size ~= 0 then map.invalid("key_size is not 0") end
  if attr.value_size ~= 0 then map.invalid("value_size is not 0") end
  local size = attr.max_entries
  if size == 0 or bit.band(size, size - 1) ~= 0 or size % PAGE ~= 0 then
    map.invalid("max_entries is not a power of 2 of at least " .. PAGE)
  end
end

local function unsupported()
  kernel.fail("ENOTSUPP", "a ring buffer has records, not elements")
end

local function entries()
  return 0
end

local function free(id)
  call("UNLINK", kernel.key("elem", id))
end

return { alloc_check = alloc_check, alloc = alloc, lookup = unsupported, update = unsupported,
  delete = unsupported, next_key = unsupported, page = unsupported, entries = entries, free = free }
