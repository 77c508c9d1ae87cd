-- BPF_MAP_TYPE_DEVMAP_HASH (kernel/bpf/devmap.c): a devmap whose slots have any number.
local kernel = use("kernel")
local map = use("map")
local index = use("index")
local htab = use("htab")
local fd_array = use("fd_array")
local redirect = use("redirect")
local devmap = use("devmap")
local call = redis.call

local ENTRIES_MAX = 2147483648

local function alloc_check(attr)
  devmap.alloc_check(attr)
  if attr.max_entries > ENTRIES_MAX then map.invalid("max_entries is more than 2^31") end
end

-- __dev_map_hash_update_elem(): BPF_EXIST asks nothing; a full map is found out last.
local function update(m, key, value, flags)
  local i, ifindex, fd = index.of(key), redirect.parse(value)
  htab.check_known(flags)
  if ifindex == 0 then map.invalid("there is no interface 0") end
  local present = redirect.lookup(m, key)
  if present and flags == htab.NOEXIST then kernel.fail("EEXIST", "the key is there") end
  local _, prog = devmap.resolve(m, ifindex, fd)
  if not present and fd_array.entries(m) >= m.max_entries then map.full(m) end
  redirect.set(m, i, ifindex, prog)
end

local function delete(m, key)
  if not redirect.clear(m, index.of(key)) then kernel.fail("ENOENT", "the key is not there") end
end

-- An unknown key starts over.
local function next_key(m, key)
  local _, order = fd_array.slots(m)
  local from = key and call("ZSCORE", order, index.of(key))
  local found = call("ZRANGEBYSCORE", order, from and "(" .. from or "-inf", "+inf", "LIMIT", 0, 1)[1]
  return found and index.key(found)
end

return { alloc_check = alloc_check, alloc = devmap.alloc, lookup = redirect.lookup, update = update,
  delete = delete, next_key = next_key, page = redirect.page, entries = fd_array.entries,
  free = redirect.free, needs = "CAP_NET_ADMIN" }
