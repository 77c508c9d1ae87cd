-- BPF_MAP_TYPE_ARRAY (kernel/bpf/arraymap.c): every element exists, zero until written.
local kernel = use("kernel")
local map = use("map")
local index = use("index")

local MMAPABLE, INNER_MAP = 1024, 4096
local INT_MAX = 2147483647

local function alloc_check(attr)
  index.alloc_check(attr, MMAPABLE + INNER_MAP)
  if attr.value_size > INT_MAX then kernel.fail("E2BIG", "value_size is more than INT_MAX") end
end

local function alloc(attr)
  index.check_room(attr, attr.value_size)
end

-- array_map_direct_value_addr(): BPF_PSEUDO_MAP_VALUE
local function direct_value(m, offset)
  if m.max_entries ~= 1 then kernel.fail("ENOTSUPP", "direct access needs max_entries 1") end
  if offset >= m.value_size then
    map.invalid("invalid access to map value pointer, value_size=" .. m.value_size .. " off=" .. offset)
  end
end

-- array_map_meta_equal(): unless made for it, an inner array has its template's max_entries.
local function meta_equal(inner, m)
  return bit.band(inner.flags, INNER_MAP) ~= 0 or inner.max_entries == m.max_entries
end

return { alloc_check = alloc_check, alloc = alloc, lookup = index.lookup, many = index.many,
  update = index.update, delete = index.delete, next_key = index.next_key, page = index.page,
  entries = index.entries, image = index.image, direct_value = direct_value, meta_equal = meta_equal,
  free = index.free, batches = "array", locks = true }
