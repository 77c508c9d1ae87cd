-- BPF_MAP_TYPE_ARRAY (kernel/bpf/arraymap.c): every element exists, zero until written.
local kernel = use("base/kernel")
local map = use("map/map")
local map_btf = use("map/map_btf")
local arraymap = use("map/array/arraymap")
local uapi = use("uapi")

local INT_MAX = 2147483647

local function alloc_check(attr)
  arraymap.alloc_check(attr, uapi.BPF_F_MMAPABLE + uapi.BPF_F_INNER_MAP)
  if attr.value_size > INT_MAX then
    kernel.fail("E2BIG", "value_size must be at most " .. INT_MAX .. ", got " .. attr.value_size)
  end
end

local function alloc(attr)
  arraymap.check_room(attr, attr.value_size)
end

-- array_map_direct_value_addr(): BPF_PSEUDO_MAP_VALUE
local function direct_value(m, offset)
  if m.max_entries ~= 1 then
    kernel.fail("ENOTSUPP", "direct access to values needs max_entries 1, the map has " .. m.max_entries)
  end
  if offset >= m.value_size then
    map.einval("invalid access to map value pointer, value_size=" .. m.value_size .. " off=" .. offset)
  end
end

-- array_map_meta_equal(): unless made for it, an inner array has its template's max_entries.
local function meta_equal(inner, m)
  return bit.band(inner.flags, uapi.BPF_F_INNER_MAP) ~= 0 or inner.max_entries == m.max_entries
end

map.register("array", {
  alloc_check = alloc_check, alloc = alloc, lookup = arraymap.lookup,
  lookup_trimmed = arraymap.lookup_trimmed, lookup_many = arraymap.lookup_many,
  update = arraymap.update, delete = arraymap.delete, next_key = arraymap.next_key,
  page = arraymap.page, entries = arraymap.entries, dump_all = arraymap.dump_all,
  direct_value = direct_value, meta_equal = meta_equal, free = arraymap.free, batch_kind = "array",
  has_locks = true,
  check_btf = arraymap.check_btf, special_fields = map_btf.ALL_FIELDS
})
