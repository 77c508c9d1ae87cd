-- BPF_MAP_TYPE_DEVMAP_HASH (kernel/bpf/devmap.c): a devmap whose slots have any number.
local kernel = use("base/kernel")
local map = use("map/map")
local map_btf = use("map/map_btf")
local arraymap = use("map/array/arraymap")
local fd_array = use("map/array/fd_array")
local redirect_map = use("map/redirect/redirect_map")
local devmap = use("map/redirect/devmap")
local uapi = use("uapi")
local call = redis.call

local ENTRIES_MAX = 2147483648

local function alloc_check(attr)
  devmap.alloc_check(attr)
  if attr.max_entries > ENTRIES_MAX then
    map.einval("max_entries must be at most 2147483648, got " .. attr.max_entries)
  end
end

-- __dev_map_hash_update_elem(): BPF_EXIST is not checked; a full map is checked last.
local function update(m, key, value, flags)
  local i, ifindex, fd = arraymap.index_of(key), redirect_map.parse(value)
  map.check_update_flags(flags)
  if ifindex == 0 then map.einval("there is no interface 0, only 1 (loopback)") end
  local present = redirect_map.lookup(m, key)
  if present and flags == uapi.BPF_NOEXIST then kernel.fail("EEXIST", "the key exists (BPF_NOEXIST)") end
  local _, prog = devmap.resolve(m, ifindex, fd)
  if not present and fd_array.entries(m) >= m.max_entries then map.fail_full(m) end
  redirect_map.set(m, i, ifindex, prog)
end

local function delete(m, key)
  if not redirect_map.clear(m, arraymap.index_of(key)) then
    kernel.fail("ENOENT", "the map has no such key")
  end
end

-- An unknown key starts over.
local function next_key(m, key)
  local _, order = fd_array.slots(m)
  local from = key and call("ZSCORE", order, arraymap.index_of(key))
  local found = call("ZRANGEBYSCORE", order, from and "(" .. from or "-inf", "+inf", "LIMIT", 0, 1)[1]
  return found and arraymap.key_of(found)
end

map.register("devmap_hash", {
  alloc_check = alloc_check, alloc = devmap.alloc, lookup = redirect_map.lookup, update = update,
  delete = delete, next_key = next_key, page = redirect_map.page, entries = fd_array.entries,
  free = redirect_map.free, clear = redirect_map.free, capability = "CAP_NET_ADMIN",
  check_btf = map_btf.unsupported
})
