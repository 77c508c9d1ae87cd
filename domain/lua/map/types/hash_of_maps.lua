-- BPF_MAP_TYPE_HASH_OF_MAPS (kernel/bpf/hashtab.c): key -> id of a map, in a sorted set as the slots of
-- an array of maps are.
-- Invariant: an element holds one reference on its map, as "slot:<map>".
local kernel = use("base/kernel")
local map = use("map/map")
local map_btf = use("map/map_btf")
local arraymap = use("map/array/arraymap")
local htab = use("map/hash/htab")
local fd_array = use("map/array/fd_array")
local inner_map = use("map/inner_map")
local refcount = use("base/refcount")
local call = redis.call

-- htab_of_map_alloc_check()
local function alloc_check(attr)
  if attr.value_size ~= 4 then map.einval("value_size must be 4, got " .. attr.value_size) end
  htab.alloc_check(attr, {})
end

local function alloc(attr)
  local fields = inner_map.alloc(attr)
  htab.alloc(attr)
  return fields
end

local function bytes_of(id)
  return id and struct.pack("<I4", id) or nil
end

local function lookup(m, key)
  return bytes_of(call("ZSCORE", kernel.key("elem", m.id), key))
end

-- bpf_fd_htab_map_update_elem(): the fd comes first.
local function update(m, key, value, flags)
  local elements, order = htab.keys(m)
  local id = inner_map.fd_get_ptr(m, arraymap.index_of(value))
  map.check_update_flags(flags)
  local old = call("ZSCORE", elements, key)
  htab.check_flags(old, flags)
  if not old and call("ZCARD", elements) >= m.max_entries then map.fail_full(m) end
  refcount.get("map", id, "slot:" .. m.id)
  call("ZADD", elements, id, key)
  if old then refcount.put("map", old, "slot:" .. m.id) else call("ZADD", order, 0, key) end
end

local function remove(m, key)
  local elements, order = htab.keys(m)
  local id = call("ZSCORE", elements, key)
  if not id then return nil end
  call("ZREM", elements, key)
  call("ZREM", order, key)
  refcount.put("map", id, "slot:" .. m.id)
  return bytes_of(id)
end

local function lookup_many(m, keys)
  local ids = call("ZMSCORE", kernel.key("elem", m.id), unpack(keys))
  for i, id in ipairs(ids) do ids[i] = id and bytes_of(id) end
  return ids
end

local function entries(m)
  return call("ZCARD", kernel.key("elem", m.id))
end

local function free(id)
  fd_array.clear("map", id)
end

map.register("hash_of_maps", {
  alloc_check = alloc_check, alloc = alloc, lookup = lookup, update = update, remove = remove,
  lookup_many = lookup_many, delete = htab.delete, next_key = htab.next_key, page = htab.page, entries
  = entries, free = free, clear = free, batch_kind = "hash", object_kind = "map",
  check_btf = map_btf.unsupported
})
